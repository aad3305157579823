# A thousand databases open in one process.
DATABASES=1000 exec "$PYTHON" -B "$(dirname "$0")/../py/binding.py" many_databases_in_one_process
