import re

import rag_qa


def test_exported_names():
    assert rag_qa.__all__ == sorted(rag_qa.__all__)
    for name in rag_qa.__all__:
        exported = getattr(rag_qa, name)
        assert exported.__module__.startswith("rag_qa.")
        assert exported.__doc__


def test_what_asking_takes_and_gives_is_exported():
    for function in (rag_qa.Engine.ask, rag_qa.Engine.open, rag_qa.Engine.verify):
        for annotation in function.__annotations__.values():
            for name in re.findall(r"\b[A-Z]\w+", str(annotation).replace("typing.", "")):
                assert name in {*rag_qa.__all__, "None", "Path", "SearchIndex"}, (function, name)
    for record in (rag_qa.Answer, rag_qa.RankedPassage, rag_qa.IndexReport, rag_qa.Document):
        for annotation in record.__annotations__.values():
            for name in re.findall(r"\brag_qa\.types\.(\w+)", str(annotation)):
                assert name in {*rag_qa.__all__, "Heading"}, (record, name)


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
