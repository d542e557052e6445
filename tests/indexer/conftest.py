"""What the tests of this folder may ask for."""

import pytest

from indexer.catalogue import Catalogue


@pytest.fixture
def gallery(catalogue: Catalogue) -> None:
    """An empty gallery named g."""
    catalogue.create_gallery("g")
