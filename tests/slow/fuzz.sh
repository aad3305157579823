# Ten seconds of each libFuzzer target, on top of what earlier runs of this checkout found their way to.
SECONDS_EACH=${SECONDS_EACH:-10} exec "$(dirname "$0")/../../scripts/fuzz"
