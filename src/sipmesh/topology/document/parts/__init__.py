"""The parts of a topology document, each with its keys and defaults. They check shapes; `checks` whether they agree."""
