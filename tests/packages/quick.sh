# Settings of cargo for tests of packages, for scripts to source. What is tested is how libmimi is installed, and so it
# is quicker to build than the library that people get.
export CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_DEBUG=false \
    CARGO_PROFILE_RELEASE_OPT_LEVEL=1
