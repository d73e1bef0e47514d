# 'make bench': as root; see doc.go.
build/bench: FORCE | build-needs
	@$(GO_BUILD) -o $@ ./contrib/bench

.PHONY: bench
bench: build/bench
	@build/bench $(BENCHFLAGS)
