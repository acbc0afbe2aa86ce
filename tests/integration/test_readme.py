import re
import shutil

from support.indexes import copy_index


def test_the_readmes_example_runs(root, seeds_index, tmp_path, monkeypatch, capsys):
    (code,) = re.findall(r"```python\n(.*?)```", (root / "README.md").read_text(), re.DOTALL)
    shutil.copytree(root / "seeds", tmp_path / "seeds")
    copy_index(seeds_index, tmp_path / "index")
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {})
    assert "seeds/004_cd7c5bba8cc9e53d.txt" in capsys.readouterr().out
