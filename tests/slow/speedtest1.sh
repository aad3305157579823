# speedtest1 at its own size.
SIZE=100 LIMIT=7200 exec bash "$(dirname "$0")/../sh/speedtest1.sh"
