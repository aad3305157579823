# All schedules of the scripts in server/src/store/tests/explore with a fault, one turn deeper than
# `make test` goes, and without a fault all there are of each; optimised, for which it is built anew.
# EXPLORE_MORE=faults,depth.
cd "$(dirname "$0")/../.." || exit 2
export CARGO_PROFILE_DEV_OPT_LEVEL=2 CARGO_PROFILE_DEV_DEBUG=0
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/explore
all=4294967295
for more in ${EXPLORE_MORE:-0,$all 1,3}; do
  EXPLORE_MORE=$more cargo test --quiet --locked --package litevfs-cloud --lib -- explore::scripts --nocapture || exit
done
