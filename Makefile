# Needs Python 3.11+ and make; everything else goes into .venv.
PYTHON ?= python3
# TORCH=cpu takes the build of torch without CUDA (4.1 GB less) from its own index, where that can be reached
TORCH ?=
BIN := .venv/bin
INSTALLED := .venv/.installed
HEADERS := .venv/include/onnxruntime/onnxruntime_c_api.h

.PHONY: app demo serve test lint setup clean

demo: $(INSTALLED)
	$(BIN)/edgeproof run demo --resume

app: $(INSTALLED)
	$(BIN)/edgeproof app

# answers curl -F file=@photo.jpg localhost:8000/predict
serve: $(INSTALLED)
	$(BIN)/edgeproof serve

test: $(INSTALLED) $(HEADERS)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

setup: $(INSTALLED)

# uv installs the pinned set in about a minute; pip takes ten times as long
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "edgeproof needs Python 3.11 or newer; set PYTHON=python3.11" >&2; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==0.13.8
	$(BIN)/uv pip install --python $(BIN)/python --constraint constraints.txt $(if $(TORCH),--torch-backend $(TORCH)) --editable '.[all,dev]'
	touch $@

# the C program's tests need them; without Debian's packages they are skipped
$(HEADERS): | $(INSTALLED)
	-sh deploy/embedded/onnxruntime_headers.sh $(dir $@)

clean:
	rm -rf .venv runs build dist
