# SQLite's own test program, testfixture, with wire.c in it: `make -f TESTS/testfixture.mk TESTS=... testfixture-wired`
# in a folder that SQLite's configure has prepared; TESTS is this file's. SQLite's Makefile names the sources and the
# options. It compiles them in one command, here each is an object of its own, for make -j.
include Makefile

CFLAGS = -O1 -w
SOURCES = $(TESTFIXTURE_SRC) $(TESTS)/wire.c $(TESTS)/names.c
OBJECTS = $(patsubst %.c,wired/%.o,$(notdir $(SOURCES)))
vpath %.c $(sort $(dir $(SOURCES)))

wired/%.o: %.c $(MAKEFILE_LIST)
	@mkdir -p wired
	$(TCC) -DSQLITE_NO_SYNC=1 $(TEMP_STORE) $(TESTFIXTURE_FLAGS) $(WIRING) -c -o $@ $<

wired/wire.o wired/names.o: $(TESTS)/names.h

# What is called when SQLite starts and when an interpreter gets the commands of the tests, is wire.c.
wired/sqlite3.o: WIRING = -DSQLITE_EXTRA_INIT=wire_extra_init
wired/test_tclsh.o: WIRING = -Dsqlite3TestInit=unwired_test_init

testfixture-wired: $(OBJECTS)
	$(TCC) -rdynamic -o $@ $(OBJECTS) $(LIBTCL) $(TLIBS) -ldl -lpthread
