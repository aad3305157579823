# rules.tcl - databases look like files to SQLite's tests.
#
# wire.c reads this in every interpreter, before a test. A path that has a database (wire name PATH) exists,
# can be copied, renamed, deleted, read and written to by hand. What is read is a copy of what the server has; what
# is written is in a copy, too, which then becomes the next transaction of the database.

# The extension knows the lock page at 1 GiB only, where the tests like it at 64 KiB.
rename sqlite3_test_control_pending_byte unwired_pending_byte
proc sqlite3_test_control_pending_byte {offset} { return 0x40000000 }

if {![wire on]} return

# What a VFS may do without, and the extension does: tests of that skip themselves, or these parts.
set ::sqlite_options(wal) 0
set ::sqlite_options(mmap) 0

foreach command {file glob open close hexio_read hexio_write md5file} {
  rename $command unwired_$command
}

proc wire_has {path} { expr {[wire name $path] ne ""} }

# The path of a copy of the database.
proc wire_copy {path} {
  set copy $::env(WIRE_FOLDER)/copy.[pid].[incr ::wire_copies]
  exec $::env(WIRE_TRANSFER) get [wire name $path] $copy
  return $copy
}

# What to read for a path: itself, or a copy of its database.
proc wire_readable {path} {
  if {[wire_has $path]} { return [wire_copy $path] }
  return $path
}

# The database is a file from now on; the next connection makes that the database again.
proc wire_to_file {path copy} {
  unwired_file rename -force $copy $path
  wire forget $path
}

# The copy, which was changed, becomes the database. Open connections see that within a second, and at once in
# tests that run with WIRE_FRESH. What the server refuses becomes a file.
proc wire_put {path copy} {
  if {[catch {exec $::env(WIRE_TRANSFER) put [wire name $path] $copy}]} {
    wire_to_file $path $copy
  } elseif {[llength [info commands db]] + [llength [info commands db\[0-9\]]] > 0} {
    if {![info exists ::env(WIRE_FRESH)]} { after 1050 }
  }
}

proc wire_copy_file {from to options} {
  if {[unwired_file isdirectory $to]} { set to [unwired_file join $to [unwired_file tail $from]] }
  if {[wire_has $to] && "-force" ni $options} {
    error "error copying \"$from\" to \"$to\": file already exists"
  }
  unwired_file copy {*}$options [wire_copy $from] $to
  wire forget $to
}

# Tcl lets subcommands be abbreviated, and the tests do.
proc file {subcommand args} {
  set first [lindex $args 0]
  set last [lindex $args end]
  set from [lindex $args end-1]
  switch -glob -- $subcommand {
    exis* - isf* - reada* - writa* - owned { if {[wire_has $last]} { return 1 } }
    size { if {[wire_has $last]} { return [unwired_file size [wire_copy $last]] } }
    mti* - ati* { if {[wire_has $first]} { return 0 } }
    attr* { if {[wire_has $first]} { wire_to_file $first [wire_copy $first] } }
    del* { foreach path $args { if {[string index $path 0] ne "-"} { wire forget $path } } }
    copy {
      if {[wire_has $from]} { return [wire_copy_file $from $last [lrange $args 0 end-2]] }
      wire forget $last
    }
    ren* {
      if {[wire_has $from]} { return [wire move $from $last] }
      wire forget $last
    }
  }
  uplevel 1 [list unwired_file $subcommand {*}$args]
}

proc glob {args} {
  set patterns {}
  foreach word $args {
    if {$word in {-nocomplain --}} continue
    if {[string match -* $word]} { return [uplevel 1 [list unwired_glob {*}$args]] }
    lappend patterns $word
  }
  set found [uplevel 1 [list unwired_glob -nocomplain {*}$args]]
  foreach path [wire paths] {
    foreach pattern $patterns {
      if {[string match $pattern $path] && $path ni $found} { lappend found $path }
    }
  }
  # Tcl's own complaint, where the test wants one.
  if {[llength $found] == 0} { return [uplevel 1 [list unwired_glob {*}$args]] }
  return $found
}

proc open {path {access r} args} {
  if {[string index $path 0] eq "|" || ![wire_has $path]} {
    return [uplevel 1 [list unwired_open $path $access {*}$args]]
  }
  set copy [wire_copy $path]
  set channel [unwired_open $copy $access {*}$args]
  if {$access ni {"" r rb RDONLY}} { set ::wire_written($channel) [list $path $copy] }
  return $channel
}

proc close {channel args} {
  uplevel 1 [list unwired_close $channel {*}$args]
  if {[info exists ::wire_written($channel)]} {
    wire_put {*}$::wire_written($channel)
    unset ::wire_written($channel)
  }
}

proc hexio_read {path args} { unwired_hexio_read [wire_readable $path] {*}$args }
proc md5file {path args} { unwired_md5file [wire_readable $path] {*}$args }

proc hexio_write {path args} {
  if {![wire_has $path]} { return [unwired_hexio_write $path {*}$args] }
  set copy [wire_copy $path]
  set result [unwired_hexio_write $copy {*}$args]
  wire_put $path $copy
  return $result
}
