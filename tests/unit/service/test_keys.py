"""API keys: making, finding, revoking, and what a damaged file of them does."""

import stat
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_qa.errors import InputError, KeysError, NotFoundError
from rag_qa.service.keys import Keys, create_key, read_keys, revoke_key


@pytest.fixture
def path(tmp_path):
    return tmp_path / "deep" / "keys.json"


def test_a_key_is_found_by_all_of_it_and_by_nothing_else(path):
    made, whole = create_key(path, "alice", ("ask",))
    keys = Keys(path)
    assert keys.find(whole) == made
    for wrong in ["", whole[:-1], whole[1:], whole + "x", whole.upper(), whole.replace("_", "-"), f"ragqa_{made.id}_"]:
        assert keys.find(wrong) is None, wrong
    other, _ = create_key(path, "bob", ("ask",))
    assert keys.find(whole.replace(made.id, other.id)) is None


@given(text=st.text())
def test_any_other_text_is_no_key(text, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "one-key.json"
    if not path.exists():
        create_key(path, "alice", ("ask",))
    assert Keys(path).find(text) is None
    assert Keys(path).find(f"ragqa_{read_keys(path)[0].id}_{text}") is None


def test_only_digests_are_kept_for_the_owner_alone(path):
    _, whole = create_key(path, "alice", ("ask",))
    assert whole.split("_", 2)[2] not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    create_key(path, "bob", ("admin",))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_an_administrator_may_also_ask(path):
    asks, _ = create_key(path, "alice", ("ask",))
    admin, _ = create_key(path, "root", ("admin",))
    assert [asks.may("ask"), asks.may("admin"), admin.may("ask"), admin.may("admin")] == [True, False, True, True]


def test_a_running_service_notices_new_and_revoked_keys(path):
    _, first = create_key(path, "alice", ("ask",))
    keys = Keys(path)
    made, second = create_key(path, "bob", ("ask",))
    assert keys.find(second) == made
    assert revoke_key(path, "bob").revoked
    assert keys.find(second) is None
    assert keys.find(first)
    assert keys.named(made.id) is None


def test_a_revoked_name_may_be_used_again_and_is_listed(path):
    create_key(path, "alice", ("ask",))
    revoke_key(path, "alice")
    again, _ = create_key(path, "alice", ("admin",))
    assert [(key.name, bool(key.revoked)) for key in read_keys(path)] == [("alice", True), ("alice", False)]
    assert revoke_key(path, again.id).id == again.id


@pytest.mark.parametrize("name", ["", "  ", "x" * 81, "a\nb", "\x1b[31m"])
def test_names_that_cannot_be_used(path, name):
    with pytest.raises(InputError, match="A key needs a name"):
        create_key(path, name, ("ask",))
    assert not path.exists()


def test_a_name_is_given_once_and_only_what_is_there_is_revoked(path):
    create_key(path, "alice", ("ask",))
    with pytest.raises(InputError, match="There is a key “alice” already"):
        create_key(path, "alice", ("ask",))
    with pytest.raises(NotFoundError, match="no key “eve”"):
        revoke_key(path, "eve")


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"keys": [{"id": 1}]}', '{"keys": [], "more": 1}', "\udcff"])
def test_a_damaged_file_opens_nothing_and_is_not_written_over(path, damage, caplog):
    _, whole = create_key(path, "alice", ("ask",))
    keys = Keys(path)
    path.write_bytes(damage.encode("utf-8", "surrogateescape"))
    assert keys.find(whole) is None
    assert "no key is valid" in caplog.text
    before = path.read_bytes()
    with pytest.raises(KeysError, match="no file of keys"):
        create_key(path, "bob", ("ask",))
    assert path.read_bytes() == before


def test_many_at_once_lose_none(path):
    makers = [threading.Thread(target=create_key, args=(path, f"user {number}", ("ask",))) for number in range(20)]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join()
    assert {key.name for key in read_keys(path)} == {f"user {number}" for number in range(20)}
