# Settings of cargo for tests of packages, for scripts to source that have a folder $work: cargo finds them where it is
# run below it. What is tested is how libmimi is installed, and so it is quicker to build than the library that people
# get: without link-time optimisation, and with dependencies that are not optimised.
mkdir "$work/.cargo"
cat >"$work/.cargo/config.toml" <<'SETTINGS'
[profile.release]
lto = "off"
codegen-units = 16
debug = false
opt-level = 0

[profile.release.package.libmimi]
opt-level = 2
SETTINGS
