# The commands people type most. Each runs in the active environment: pip install -e '.[dev]'
.PHONY: test lint docs bench

test:   ## run the tests (about 4 processes) and list the ten slowest; `make test ARGS="--cov"` measures coverage
	python -m pytest --durations=10 $(ARGS)

lint:   ## check style, formatting, types and the import order
	ruff check .
	ruff format --check .
	mypy
	lint-imports

docs:   ## build the site into site/; warnings are errors
	mkdocs build --strict

bench:  ## measure the speed of training and sampling
	python benchmarks/speed.py $(ARGS)
