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
