# files.tcl - prints the test files of SQLite's suite "full", each on a line.
#
# Usage: testfixture files.tcl SQLITE-SOURCE
# SQLite's permutations.test makes the list, and runs nothing, as it is not the script that was started.
set testdir [file join [lindex $argv 0] test]
set argv0 [file join $testdir none.test]
set argv {}
source [file join $testdir permutations.test]
array set suite $::testspec(full)
foreach path [lsort -command {apply {{a b} {string compare [file tail $a] [file tail $b]}}} $suite(-files)] {
  puts [file normalize [file join $testdir $path]]
}
exit
