# All schedules of the scripts in server/src/store/tests/explore with a fault, one turn deeper than
# `make test` goes. EXPLORE_MORE=faults,depth.
cd "$(dirname "$0")/../.." || exit 2
EXPLORE_MORE=${EXPLORE_MORE:-1,3} exec cargo test --quiet --locked --package litevfs-cloud --lib -- explore:: --nocapture
