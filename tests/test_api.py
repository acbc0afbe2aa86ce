import re
import shutil

from indexes import copy_index

import rag_qa


def test_exported_names():
    assert rag_qa.__all__ == sorted(rag_qa.__all__)
    for name in rag_qa.__all__:
        exported = getattr(rag_qa, name)
        assert exported.__module__.startswith("rag_qa.")
        assert exported.__doc__


def test_every_module_lists_what_it_exports():
    import importlib
    import pkgutil

    for found in pkgutil.walk_packages(rag_qa.__path__, "rag_qa."):
        if found.ispkg or found.name.endswith("__main__"):
            continue
        module = importlib.import_module(found.name)
        assert module.__doc__, found.name
        for name in module.__all__:
            assert hasattr(module, name), (found.name, name)


def test_the_readmes_example_runs(root, seeds_index, tmp_path, monkeypatch, capsys):
    (code,) = re.findall(r"```python\n(.*?)```", (root / "README.md").read_text(), re.DOTALL)
    shutil.copytree(root / "seeds", tmp_path / "seeds")
    copy_index(seeds_index, tmp_path / "index")
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {})
    assert "seeds/004_cd7c5bba8cc9e53d.txt" in capsys.readouterr().out
