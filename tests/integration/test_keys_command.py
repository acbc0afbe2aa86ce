"""The command `keys`."""

import json

from rag_qa.service.keys import Key, Keys, read_keys


def test_on_the_command_line(rag_qa_main, tmp_path):
    file = ("--keys-file", tmp_path / "keys.json")
    nothing = "There are no keys: make one with `rag-qa keys create NAME`.\n"
    assert rag_qa_main("keys", "list", *file) == (0, "", nothing)
    code, whole, said = rag_qa_main("keys", "create", "alice", *file)
    assert code == 0
    assert "it is not shown again" in said
    code, out, _ = rag_qa_main("keys", "create", "root", "--scope", "admin", "--json", *file)
    made = json.loads(out)
    assert (code, made["scopes"], set(made)) == (0, ["admin"], {*Key.__struct_fields__, "key"} - {"sha256"})
    keys = Keys(tmp_path / "keys.json")
    assert keys.find(whole.strip()).name == "alice"
    assert keys.find(made["key"]).name == "root"
    assert rag_qa_main("keys", "revoke", "alice", *file)[0] == 0
    code, out, _ = rag_qa_main("keys", "list", *file)
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == [key.id for key in read_keys(tmp_path / "keys.json")]
    assert "revoked 20" in out.splitlines()[0]
    assert "sha256" not in rag_qa_main("keys", "list", "--json", *file)[1]
    for arguments, words in [
        (("revoke", "alice"), "no key “alice” to revoke"),
        (("create", "root"), "There is a key “root” already"),
        (("create", "eve", "--scope", "root"), "'root' is not one of"),
    ]:
        code, _, said = rag_qa_main("keys", *arguments, *file)
        assert code == 2
        assert words in said
