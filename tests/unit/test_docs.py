"""Pages that are made from the code are as the code would make them."""

import runpy


def test_the_http_interface_is_described_as_it_is(root):
    page = runpy.run_path(str(root / "docs" / "http_api.py"))["written"]()
    assert (root / "docs" / "http-api.md").read_text("utf-8") == page, "run `make docs`"
