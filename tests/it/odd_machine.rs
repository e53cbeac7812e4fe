//! The tests see nothing of the machine that they run on: they pass on one where everything that they could see is otherwise.

use crate::support::command::skip_without;
use crate::support::machine::tool;
use crate::support::project::project;

/// One test for each thing that tests have taken for granted. `scripts/test --full` runs all of them so.
const TESTS: [&str; 11] = [
    // Paths that are absent, and folders that are empty.
    "environment::json_has_the_documented_shape_with_sorted_keys",
    "exec::the_status_is_the_commands",
    "exec::a_wrapper_starts_the_command_as_on_lambda",
    // Temporary files that do not lie below `/var`, and whose path has no space.
    "exec::a_task_root_is_seen_at_var_task_and_started_in",
    "exec::a_running_command_loses_no_file_and_leaves_no_lock",
    // Variables: of Python, Node.js, Ruby, the loader and Info-ZIP, and a language.
    "check::judges::python_does_not_find_what_lies_outside_its_folders",
    "check::judges::node_does_not_find_what_lies_outside_nodejs",
    "check::judges::ruby_does_not_find_what_bundler_leaves_where_it_installs",
    "foreign::info_zip_finds_nothing_wrong_in_what_the_builder_writes",
    // The umask.
    "bombs::a_target_that_lies_is_refused",
    // Signals that nobody ignores.
    "cache_life::a_signal_that_can_be_caught_ends_the_build_and_leaves_nothing",
];

#[test]
fn on_an_odd_machine_the_tests_pass() {
    if skip_without("bash") {
        return;
    }
    let output = tool(project("scripts/odd-machine"))
        .arg(std::env::current_exe().expect("we have a path"))
        .arg("--exact")
        .args(TESTS)
        .output()
        .expect("a script can be started");
    let (said, complained) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(
        output.status.success() && said.contains(&format!("{} passed; 0 failed", TESTS.len())),
        "{said}{complained}"
    );
}
