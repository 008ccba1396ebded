"""What the documentation site adds to Sphinx: pages of the API, formulas without a network, the playground."""
