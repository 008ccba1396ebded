"""What the documentation site adds to Sphinx: pages of the API, links between pages, formulas without a network."""
