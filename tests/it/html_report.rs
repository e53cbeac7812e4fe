//! The page that `report` writes, opened in a real browser: what is drawn, what a reader can do with it, and that nothing in a
//! layer becomes a part of the page's code.

use std::fs;

use serde_json::Value;

use crate::support::command::{Sandbox, skip_without};
use crate::support::machine::tool;
use crate::support::project::{output, project, script};
use crate::support::zip::{archive, directory, file, link};

/// Opens a page, clicks and types; what was seen. `None` where there is no browser.
fn browse(sandbox: &Sandbox, page: &str) -> Option<Value> {
    if skip_without("chromium") || skip_without("node") || skip_without("npm") {
        return None;
    }
    let installed = script("browser").status();
    assert!(
        installed.is_ok_and(|status| status.success()),
        "what drives the browser can be installed"
    );
    let screenshots = output("screenshots").join(page);
    fs::create_dir_all(&screenshots).expect("a place for screenshots");
    let output = tool("node")
        .arg(project("tests/it/html_report.mjs"))
        .arg(output("browser"))
        .arg(sandbox.path(page))
        .arg(screenshots)
        .output()
        .expect("node can be started");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let seen: Value = serde_json::from_slice(&output.stdout).expect("it prints JSON");
    assert_eq!(seen["errors"], Value::Array(Vec::new()), "{seen:#}");
    for request in texts(&seen["requests"]) {
        assert!(request.starts_with("file://"), "it fetched {request}");
    }
    Some(seen)
}

/// Strings of an array, with whatever stands between words as one blank.
fn texts(value: &Value) -> Vec<String> {
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let strings = value.as_array().into_iter().flatten();
    strings
        .map(|text| words(text.as_str().expect("a string")))
        .collect()
}

/// Two layers that collide in every class.
fn colliding(sandbox: &Sandbox) {
    sandbox.archive(
        "base.zip",
        &archive([
            file("python/alpha.py", vec![b'a'; 3000]),
            file("python/beta.py", b"b"),
            file("python/same.py", vec![b's'; 200]),
            file("python/mode.py", b"mode").mode(0o600),
            file("bin/conf", b"a file"),
            file("lib/only", vec![b'l'; 9000]),
        ]),
    );
    sandbox.archive(
        "deps.zip",
        &archive([
            file("python/alpha.py", vec![b'A'; 4096]),
            file("python/beta.py", b"BB"),
            file("python/same.py", vec![b's'; 200]),
            file("python/mode.py", b"mode"),
            directory("bin/conf/"),
            link("bin/link", "conf"),
        ]),
    );
}

#[test]
fn the_page_shows_the_stack_the_root_and_what_collides() {
    let sandbox = Sandbox::new();
    colliding(&sandbox);
    let done = sandbox
        .slashopt(["report", "base.zip", "deps.zip", "-o", "page.html", "-q"])
        .success();
    assert_eq!(done.stdout(), "");
    let Some(seen) = browse(&sandbox, "page.html") else {
        return;
    };
    let tiles = texts(&seen["tiles"]);
    assert_eq!(tiles[0], "2 layers");
    assert_eq!(tiles[1], "6 files in the root");
    assert!(
        tiles.contains(&"4 collisions that matter".to_owned()),
        "{tiles:?}"
    );
    assert_eq!(
        texts(&seen["layers"]),
        [
            "1: base.zip 11.9 KiB, 6 entries",
            "2: deps.zip 4.2 KiB, 6 entries"
        ]
    );
    assert_eq!(seen["crumbs"], "/opt 13.0 KiB, 3 children");
    assert_eq!(
        texts(&seen["largest"]),
        ["lib/ 8.8 KiB", "python/ 4.2 KiB", "bin/ 4 B"]
    );
    let collisions = texts(&seen["collisions"]);
    assert_eq!(
        collisions,
        [
            "type bin/conf 2: deps.zip 1: base.zip 0 B",
            "content python/alpha.py 2: deps.zip 1: base.zip 4.0 KiB",
            "content python/beta.py 2: deps.zip 1: base.zip 2 B",
            "mode python/mode.py 2: deps.zip 1: base.zip 4 B",
            "identical python/same.py 2: deps.zip 1: base.zip 200 B",
        ]
    );
    // Both layers' colours, at the least.
    assert!(seen["colours"].as_u64() >= Some(2), "{}", seen["colours"]);

    assert_ne!(seen["crumbs_after_click"], seen["crumbs"]);
    assert_eq!(seen["crumbs_back"], seen["crumbs"]);
    assert_eq!(seen["sorted"][0], "descending");
    assert_eq!(
        texts(&seen["sorted"][1]),
        ["4.0 KiB", "200 B", "4 B", "2 B", "0 B"]
    );
    assert_eq!(seen["sorted_again"][0], "ascending");
    assert_eq!(
        texts(&seen["sorted_again"][1]),
        ["0 B", "2 B", "4 B", "200 B", "4.0 KiB"]
    );
    assert_eq!(texts(&seen["filtered"]).len(), 1, "{}", seen["filtered"]);
    assert_eq!(texts(&seen["chosen"]), ["identical"]);
    assert_ne!(seen["light"], seen["dark"]);
}

#[test]
fn no_name_in_a_layer_becomes_a_part_of_the_page() {
    let sandbox = Sandbox::new();
    let names: [&[u8]; 5] = [
        b"python/</script><script>alert(1)<!--",
        b"python/<img src=x onerror=alert(2)>",
        b"python/\"'`${alert(3)}",
        b"python/\xff\xfe not text",
        "python/\u{202e}\u{2028}ALPHA {{script}} {{data}}".as_bytes(),
    ];
    let layer = |content: &'static [u8]| {
        archive(names.map(|name| {
            let made = file(name, content);
            if std::str::from_utf8(name).is_ok_and(|name| !name.is_ascii()) {
                made.flag(crate::support::zip::UTF8)
            } else {
                made
            }
        }))
    };
    sandbox.archive("\"><img src=x onerror=alert(4)>.zip", &layer(b"one"));
    sandbox.archive("two.zip", &layer(b"another"));
    let done = sandbox
        .slashopt([
            "report",
            "\"><img src=x onerror=alert(4)>.zip",
            "two.zip",
            "--output",
            "hostile.html",
        ])
        .success();
    drop(done);
    let Some(seen) = browse(&sandbox, "hostile.html") else {
        return;
    };
    let collisions = texts(&seen["collisions"]);
    assert_eq!(collisions.len(), names.len(), "{collisions:?}");
    assert!(
        collisions[0].contains("alert(3)") && collisions.iter().any(|row| row.contains("{{data}}")),
        "{collisions:?}"
    );
}

#[test]
fn twenty_thousand_files_are_drawn() {
    let sandbox = Sandbox::new();
    let layer = |content: &'static [u8]| {
        archive((0..20_000).map(|number: u32| {
            file(
                format!("python/package{}/module{number}.py", number / 100),
                content,
            )
        }))
    };
    sandbox.archive("one.zip", &layer(b"one"));
    sandbox.archive("two.zip", &layer(b"the other"));
    drop(
        sandbox
            .slashopt(["report", "one.zip", "two.zip", "-o", "large.html", "-q"])
            .success(),
    );
    let Some(seen) = browse(&sandbox, "large.html") else {
        return;
    };
    assert_eq!(texts(&seen["tiles"])[1], "20,000 files in the root");
    // Not all at once: the rest comes when it is asked for.
    assert_eq!(texts(&seen["collisions"]).len(), 50);
}

#[test]
fn the_page_goes_to_standard_output_where_that_is_asked_for() {
    let sandbox = Sandbox::new();
    colliding(&sandbox);
    let arguments = ["report", "base.zip", "deps.zip", "--output"];
    let printed = sandbox
        .slashopt([&arguments[..], &["-"]].concat())
        .success();
    drop(
        sandbox
            .slashopt([&arguments[..], &["page.html", "-q"]].concat())
            .success(),
    );
    let written = fs::read_to_string(sandbox.path("page.html")).expect("it was written");
    assert_eq!(printed.stdout(), written);
    assert!(written.starts_with("<!doctype html>"));
}

#[test]
fn a_page_that_cannot_be_written_leaves_nothing() {
    let sandbox = Sandbox::new();
    colliding(&sandbox);
    sandbox.mkdir("taken", 0o755);
    let before = sandbox.everything();
    for (output, why) in [
        ("missing/page.html", "No such file or directory"),
        ("taken", "is a directory"),
    ] {
        let failed = sandbox
            .slashopt(["report", "base.zip", "deps.zip", "-o", output])
            .status(4);
        assert!(
            failed.stderr().contains("error: cannot make the report: `")
                && failed.stderr().contains(why),
            "{}",
            failed.stderr()
        );
    }
    assert_eq!(sandbox.everything(), before);
}

#[test]
fn packages_and_findings_are_told_in_tables() {
    let sandbox = Sandbox::new();
    let distribution = |version: &str| {
        archive([
            file("python/tool/__init__.py", format!("VERSION = '{version}'")),
            file(
                format!("python/tool-{version}.dist-info/METADATA"),
                format!("Metadata-Version: 2.1\nName: tool\nVersion: {version}\n"),
            ),
            file("python/private.py", "secret").mode(0o600),
        ])
    };
    sandbox.archive("old.zip", &distribution("1.0"));
    sandbox.archive("new.zip", &distribution("2.0"));
    let arguments = ["report", "old.zip", "new.zip", "--runtime", "python3.12"];
    drop(
        sandbox
            .slashopt([&arguments[..], &["-o", "packages.html", "-q"]].concat())
            .success(),
    );
    let Some(seen) = browse(&sandbox, "packages.html") else {
        return;
    };
    let packages = texts(&seen["packages"]);
    assert_eq!(packages.len(), 4, "{packages:?}");
    assert!(
        packages[0]
            .starts_with("python tool remove tool 1.0 from layer 1 of 2 (`old.zip`): zip -d ")
            && packages[0].contains(" 2.0 2: new.zip mixed "),
        "{packages:?}"
    );
    assert!(
        packages[1].starts_with("python tool 1.0 1: old.zip shadowed "),
        "{packages:?}"
    );
    let findings = texts(&seen["findings"]);
    assert!(
        findings
            .iter()
            .any(|row| row.starts_with("error") && row.contains("unreadable-file")),
        "{findings:?}"
    );
}
