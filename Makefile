# Smart Links: what there is to do here. Everything fetched or made lies in ./.smartlinks/ and ./target/.

.PHONY: help run test soak lint bench image proto-landed clean

help: ## Say what there is
	@sed -n 's/^\([a-z-]*\):.* ## /make \1 \t/p' Makefile | expand -t 20

run: ## Start everything with sample links to click: PostgreSQL, server, gateway, a small shop
	@scripts/setup run
	cargo run --locked --bin smartlinks -- dev $(ARGS)

test: ## Run every test, with a real PostgreSQL and a real browser (one of them: make test ARGS=name)
	@scripts/setup test
	@scripts/test $(ARGS)

soak: ## Click a million times while everything is killed and restored, and count (make soak CLICKS=100000 SEED=1)
	@scripts/setup soak
	@CLICKS="$(CLICKS)" SEED="$(SEED)" scripts/soak

lint: ## Check form, code, documentation and contracts
	@scripts/setup lint
	@scripts/lint

bench: ## Reproduce every figure of speed
	@scripts/setup bench
	cargo bench --locked $(ARGS)

image: ## Build what the container image holds, and try it in an empty root
	@scripts/setup image
	@scripts/image build .smartlinks/image
	@scripts/image check .smartlinks/image

proto-landed: ## Make the present contracts the ones that later changes may not break
	@scripts/setup lint
	@scripts/contracts land

clean: ## Remove what was built and fetched; the data of `make run` stays
	cargo clean
	rm -rf .smartlinks/npm .smartlinks/python .smartlinks/python-tools .smartlinks/tools .smartlinks/geo .smartlinks/postgres \
		.smartlinks/image .smartlinks/test
