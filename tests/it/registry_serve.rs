//! The registry's server: who may ask, what it makes of requests that no client sends, how much memory they cost, and several
//! servers of one store.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::command::{Sandbox, skip_without};
use crate::support::machine::tool;
#[cfg(feature = "s3")]
use crate::support::s3::Bucket;
use crate::support::server::{Answer, Server, aws_clients};
use crate::support::zip::{archive, file};

const LAYERS: &str = "/2018-10-31/layers";
const NOTHING: [&str; 0] = [];

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let get = |at: usize| u32::from(three.get(at).copied().unwrap_or(0));
        let bits = get(0) << 16 | get(1) << 8 | get(2);
        for digit in 0..4 {
            let index = (bits >> (18 - 6 * digit) & 63) as usize;
            text.push(if digit <= three.len() {
                char::from(DIGITS[index])
            } else {
                '='
            });
        }
    }
    text
}

fn publication(zip: &[u8]) -> Vec<u8> {
    format!(r#"{{"Content": {{"ZipFile": "{}"}}}}"#, base64(zip)).into_bytes()
}

#[track_caller]
fn publish(server: &Server, name: &str, zip: &[u8]) -> Answer {
    let path = format!("{LAYERS}/{name}/versions");
    server.request("POST", &path, "", &publication(zip))
}

fn layer(content: &str) -> Vec<u8> {
    archive([file("python/m.py", content)]).bytes()
}

/// Bytes that do not compress, the same at every run.
fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    })
    .take(length)
    .collect()
}

#[test]
fn an_answer_says_what_it_is_and_whose() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, NOTHING);
    let missing = server.request("GET", &format!("{LAYERS}/x/versions/1"), "", b"");
    assert_eq!(missing.status, 404);
    assert_eq!(
        missing.header("x-amzn-errortype"),
        Some("ResourceNotFoundException")
    );
    assert_eq!(missing.header("content-type"), Some("application/json"));
    let id = missing.header("x-amzn-requestid").expect("an id");
    assert_eq!(id.len(), 36, "{id}");
    assert_eq!(
        String::from_utf8_lossy(&missing.body),
        r#"{"Type":"User","Message":"The resource you requested does not exist."}"#
    );
    for path in [
        "/",
        "/2015-03-31/functions",
        "/bucket/key?list-type=2",
        "/2018-10-31/layers/x",
    ] {
        let other = server.request("GET", path, "", b"");
        assert_eq!(other.status, 404, "{path}");
        let said = other.json()["message"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        assert!(said.contains("this server, slashopt/"), "{said}");
        let server = other.header("server").unwrap_or_default();
        assert!(server.starts_with("slashopt/"), "{server}");
    }
    let listed = server.request("GET", LAYERS, "", b"");
    assert_eq!(
        (listed.status, listed.body),
        (200, br#"{"Layers":[]}"#.to_vec())
    );
    let broken = server.request("GET", &format!("{LAYERS}?MaxItems=51"), "", b"");
    assert_eq!(
        String::from_utf8_lossy(&broken.body),
        r#"{"message":"1 validation error detected: Value '51' at 'maxItems' failed to satisfy constraint: Member must have value less than or equal to 50"}"#
    );
    let deleted = server.request("DELETE", &format!("{LAYERS}/x/versions/1"), "", b"");
    assert_eq!((deleted.status, deleted.body), (204, Vec::new()));
}

#[test]
fn the_commands_and_the_server_have_one_store() {
    let sandbox = Sandbox::new();
    sandbox.write("a.zip", layer("first"));
    sandbox
        .slashopt(["registry", "publish", "deps", "a.zip"])
        .success();
    let server = Server::start(&sandbox, NOTHING);
    let second = publish(&server, "deps", &layer("second"));
    assert_eq!((second.status, &second.json()["Version"]), (201, &2.into()));
    sandbox
        .slashopt(["extract", "deps:1", "deps", "--into", "opt"])
        .success();
    assert_eq!(sandbox.tree("opt").text("python/m.py"), "second");
    // The server has seen the version, and what is deleted is gone all the same.
    let path = format!("{LAYERS}/deps/versions/2");
    let newest = || {
        let listed = server.request("GET", LAYERS, "", b"").json();
        listed["Layers"][0]["LatestMatchingVersion"]["Version"].clone()
    };
    assert_eq!(server.request("GET", &path, "", b"").status, 200);
    assert_eq!(newest(), 2);
    sandbox.slashopt(["registry", "delete", "deps:2"]).success();
    assert_eq!(server.request("GET", &path, "", b"").status, 404);
    assert_eq!(newest(), 1);
    // And what is published is there.
    sandbox
        .slashopt(["registry", "publish", "deps", "a.zip"])
        .success();
    assert_eq!(newest(), 3);
}

#[test]
fn a_body_may_come_in_chunks_and_after_it_was_asked_for() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, NOTHING);
    let body = publication(&layer("VALUE = 1\n"));
    let mut request = format!(
        "POST {LAYERS}/deps/versions HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n",
        server.address()
    )
    .into_bytes();
    for chunk in body.chunks(7) {
        write!(request, "{:x}\r\n", chunk.len()).expect("memory");
        request.extend_from_slice(chunk);
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"0\r\n\r\n");
    let answer = server.send(&request);
    let answer = answer
        .strip_prefix(b"HTTP/1.1 100 Continue\r\n\r\n")
        .expect("it asks for the body");
    assert_eq!(Answer::parse(answer).map(|answer| answer.status), Some(201));
}

#[test]
fn links_begin_with_the_name_by_which_the_server_was_called_or_with_the_public_one() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, NOTHING);
    let here = publish(&server, "deps", &layer("1")).json();
    let location = here["Content"]["Location"].as_str().expect("a link");
    assert!(location.starts_with(&server.url), "{location}");
    let get = format!("GET {LAYERS}/deps/versions/1 HTTP/1.1\r\nConnection: close\r\n");
    for (host, beginning) in [
        (
            "Host: layers.test:80\r\n",
            "http://layers.test:80/snapshots/",
        ),
        ("Host: a\"b<c>\r\n", &format!("{}/snapshots/", server.url)),
    ] {
        let answer = server.send(format!("{get}{host}\r\n").as_bytes());
        // A host that is none may be refused as well.
        let answer = Answer::parse(&answer).expect("an answer");
        if answer.status == 400 {
            continue;
        }
        let location = answer.json()["Content"]["Location"].to_string();
        assert!(
            location.starts_with(&format!("\"{beginning}")),
            "{location}"
        );
    }
    let public = Server::start(&sandbox, ["--public-url", "https://layers.example.com/"]);
    let answer = public.request("GET", &format!("{LAYERS}/deps/versions/1"), "", b"");
    let location = answer.json()["Content"]["Location"].to_string();
    assert!(
        location.starts_with("\"https://layers.example.com/snapshots/000000000000/deps-"),
        "{location}"
    );
    // Any server of the store takes it, and a HEAD is a GET without a body.
    let path = location
        .trim_matches('"')
        .trim_start_matches("https://layers.example.com");
    let got = server.request("GET", path, "", b"");
    assert_eq!((got.status, got.body), (200, layer("1")));
    let head = server.request("HEAD", path, "", b"");
    let length = layer("1").len().to_string();
    assert_eq!(
        (head.status, head.header("content-length"), head.body.len()),
        (200, Some(length.as_str()), 0)
    );
    assert_eq!(server.request("DELETE", path, "", b"").status, 405);
    // What they are signed with is nobody else's.
    let secret = fs::metadata(sandbox.home().join(".local/share/slashopt/secret"));
    let mode = secret.expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn only_who_has_a_key_is_answered_and_only_as_the_account_of_that_key() {
    if skip_without("python3") {
        return;
    }
    let clients = aws_clients("python");
    let sandbox = Sandbox::new();
    sandbox.write(
        "keys.toml",
        r#"
[[key]]
access_key_id = "AKIDOWNER"
secret_access_key = "owner's secret"
account = "111111111111"

[[key]]
access_key_id = "AKIDMEMBER"
secret_access_key = "member's secret"
account = "222222222222"
organization = "o-t194hfs8cz"

[[key]]
access_key_id = "AKIDSTRANGER"
secret_access_key = "stranger's secret"
account = "333333333333"
"#,
    );
    sandbox.write("a.zip", layer("1"));
    let server = Server::start(&sandbox, ["--keys", "keys.toml"]);
    let project = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = tool(clients.join("bin/python"))
        .arg(project.join("tests/it/registry_clients/boto3_keys.py"))
        .arg(&server.url)
        .arg(sandbox.path("a.zip"))
        .output()
        .expect("it starts");
    assert!(
        output.status.success() && output.stdout == b"done\n",
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    for (headers, code) in [
        ("", "MissingAuthenticationTokenException"),
        (
            "Authorization: Basic eDp5\r\n",
            "IncompleteSignatureException",
        ),
        (
            "Authorization: AWS4-HMAC-SHA256 Credential=AKIDOWNER/20150830/us-east-1/lambda/aws4_request, SignedHeaders=host, Signature=0\r\n",
            "IncompleteSignatureException",
        ),
        (
            "X-Amz-Date: 20150830T123600Z\r\nAuthorization: AWS4-HMAC-SHA256 Credential=AKIDOWNER/20150830/us-east-1/lambda/aws4_request, SignedHeaders=host;x-amz-date, Signature=0\r\n",
            "InvalidSignatureException",
        ),
        (
            "Authorization: AWS4-HMAC-SHA256 Credential=AKIDNOBODY/20150830/us-east-1/lambda/aws4_request, SignedHeaders=host, Signature=0\r\n",
            "UnrecognizedClientException",
        ),
    ] {
        let answer = server.request("GET", LAYERS, headers, b"");
        assert_eq!(answer.status, 403, "{headers}");
        assert_eq!(answer.header("x-amzn-errortype"), Some(code), "{headers}");
    }
}

#[test]
fn without_keys_it_listens_where_nobody_else_can_come_from() {
    let sandbox = Sandbox::new();
    let arguments = ["registry", "serve", "--listen", "0.0.0.0:0"];
    sandbox
        .slashopt(arguments)
        .status(2)
        .stderr_contains(
            "without keys whoever comes from there could publish and delete as anybody",
        )
        .has_hint();
    let warned = sandbox.command([
        "registry",
        "serve",
        "--listen",
        "0.0.0.0:1",
        "--insecure",
        "--store",
        "/proc/none",
    ]);
    // It cannot make its store there, so it ends at once; the warning comes before.
    warned
        .run()
        .failure()
        .stderr_contains("warning: signatures are not verified");
    for (text, why) in [
        ("", "it has no `[[key]]`"),
        (
            "[[key]]\naccess_key_id = \"a\"\n",
            "line 1: missing field `secret_access_key`",
        ),
        ("[[key]]\nsecret_access_key = SECRET\n", "line 2: "),
    ] {
        sandbox.write("keys.toml", text);
        let refused = sandbox.slashopt(["registry", "serve", "--keys", "keys.toml"]);
        let refused = refused.status(2).stderr_contains(why).has_hint();
        refused.stderr_lacks("SECRET");
    }
    sandbox
        .slashopt(["registry", "serve", "--keys", "none.toml"])
        .status(4)
        .has_hint();
    sandbox
        .slashopt(["registry", "serve", "--s3-root", "none"])
        .status(2)
        .has_hint();
    let server = Server::start(&sandbox, NOTHING);
    sandbox
        .slashopt(["registry", "serve", "--listen", server.address()])
        .status(4)
        .stderr_contains("cannot listen on")
        .has_hint();
}

#[test]
fn without_keys_no_web_page_can_publish_or_delete() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, NOTHING);
    publish(&server, "deps", &layer("1"));
    let versions = format!("{LAYERS}/deps/versions");
    let body = publication(&layer("2"));
    // What `fetch` sends without asking first, with what a browser adds to it.
    for headers in [
        "Origin: https://page.example\r\nContent-Type: text/plain\r\n",
        "Origin: null\r\nContent-Type: text/plain\r\n",
        "Sec-Fetch-Site: cross-site\r\n",
    ] {
        for (method, path) in [("POST", &versions), ("DELETE", &format!("{versions}/1"))] {
            let answer = server.request(method, path, headers, &body);
            let code = answer.header("x-amzn-errortype");
            let what = format!("{method} {headers}");
            assert_eq!(
                (answer.status, code),
                (403, Some("AccessDeniedException")),
                "{what}"
            );
        }
    }
    let listed = server.request("GET", &versions, "", b"").json();
    assert_eq!(listed["LayerVersions"].as_array().map(Vec::len), Some(1));
    assert_eq!(listed["LayerVersions"][0]["Version"], 1);
}

#[test]
fn nothing_that_comes_is_answered_with_a_fault_of_the_servers() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, NOTHING);
    let versions = format!("{LAYERS}/deps/versions");
    let deep = "[".repeat(100_000);
    let policy = format!("{versions}/1/policy");
    publish(&server, "deps", &layer("1"));
    for (method, path, body) in [
        ("POST", versions.as_str(), ""),
        ("POST", &versions, "{"),
        ("POST", &versions, "[]"),
        ("POST", &versions, "null"),
        ("POST", &versions, "\"Content\""),
        ("POST", &versions, &deep),
        ("POST", &versions, r#"{"Content": {"ZipFile": 1}}"#),
        ("POST", &versions, r#"{"Content": {"ZipFile": "%%%"}}"#),
        ("POST", &versions, r#"{"Content": {"ZipFile": "UEsF"#),
        (
            "POST",
            &versions,
            r#"{"Content": {"ZipFile": "UEsF"}, "Description": {}}"#,
        ),
        (
            "POST",
            &versions,
            r#"{"Content": {"ZipFile": "UEsF"}, "CompatibleRuntimes": [null]}"#,
        ),
        (
            "POST",
            &versions,
            r#"{"Content": {"S3Bucket": "..", "S3Key": "../../etc/passwd"}}"#,
        ),
        (
            "POST",
            &versions,
            r#"{"Content": {"S3Bucket": "bucket", "S3Key": "a//b"}}"#,
        ),
        ("POST", &policy, ""),
        ("POST", &policy, "{}"),
        ("POST", &policy, &deep),
        ("POST", &policy, "\u{0}"),
        ("GET", "/2018-10-31/layers/%00%ff%2f..%2f/versions", ""),
        ("GET", "/2018-10-31/layers/%/versions/%", ""),
        ("GET", "/2018-10-31/layers/../../etc/passwd", ""),
        (
            "GET",
            "/2018-10-31/layers/deps/versions/99999999999999999999",
            "",
        ),
        (
            "GET",
            "/2018-10-31/layers/deps/versions/9223372036854775807",
            "",
        ),
        (
            "GET",
            "/2018-10-31/layers?Marker=zz&MaxItems=-1&MaxItems=x",
            "",
        ),
        ("GET", "/2018-10-31/layers?Marker=ff", ""),
        ("GET", "/2018-10-31/layers?find=LayerVersion", ""),
        ("GET", "/2018-10-31/layers?find=LayerVersion&Arn=%ff%00", ""),
        ("GET", "/snapshots/../../secret", ""),
        (
            "GET",
            "/snapshots/%00?X-Amz-Date=%ff&X-Amz-Signature=%ff",
            "",
        ),
        ("GET", "/2018-10-31/layers/deps/versions?Marker=30", ""),
    ] {
        let answer = server.request(method, path, "", body.as_bytes());
        assert!(
            (400..500).contains(&answer.status),
            "{method} {path} {}: {answer:?}",
            body.get(..60).unwrap_or(body)
        );
        if !path.starts_with("/snapshots") {
            assert!(answer.header("x-amzn-errortype").is_some(), "{answer:?}");
            assert!(answer.json().is_object(), "{answer:?}");
        }
    }
    for seed in 0..200 {
        let bytes = noise(300, seed + 1);
        let answer = server.send_and_end(&bytes);
        if let Some(answer) = Answer::parse(&answer) {
            assert!(answer.status < 500, "{answer:?}");
        }
        // Noise behind a good beginning.
        let body: String = bytes
            .iter()
            .map(|byte| char::from(byte % 96 + 32))
            .collect();
        let body = format!("{{\"Content\": {{{body}");
        let answer = server.request("POST", &versions, "", body.as_bytes());
        assert!((400..500).contains(&answer.status), "{body}: {answer:?}");
    }
    let header = format!("X-Long: {}\r\n", "x".repeat(1 << 20));
    let answer =
        server.send_and_end(format!("GET {LAYERS} HTTP/1.1\r\nHost: x\r\n{header}\r\n").as_bytes());
    let answer = Answer::parse(&answer);
    assert!(answer.is_none_or(|answer| answer.status == 431));
    // It still works.
    assert_eq!(server.request("GET", LAYERS, "", b"").status, 200);
}

#[test]
fn nothing_that_is_asked_for_is_much_work() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, NOTHING);
    let versions = format!("{LAYERS}/deps/versions");
    publish(&server, "deps", &layer("1"));
    // Markers of numbers that no version has: `1000000000`, and 2 to the power of 64 less 1.
    for marker in [
        "31303030303030303030",
        "3138343436373434303733373039353531363135",
    ] {
        let page = server.request("GET", &format!("{versions}?Marker={marker}"), "", b"");
        assert_eq!(
            page.json()["LayerVersions"].as_array().map(Vec::len),
            Some(1)
        );
    }
    // What is sent to another service is heard out, so that its answer is heard.
    let body = vec![b' '; 30_000_000];
    let other = server.request("POST", "/2015-03-31/functions", "", &body);
    assert_eq!(other.status, 404);
    let large = server.request("POST", &format!("{versions}/1/policy"), "", &body);
    assert_eq!(large.status, 413);
}

#[test]
fn who_begins_to_publish_and_does_not_end_keeps_nobody_from_publishing() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, NOTHING);
    let path = format!("{LAYERS}/deps/versions");
    let begin = || {
        let mut stream = server.connect();
        let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n{{");
        stream.write_all(head.as_bytes()).expect("it is sent");
        stream
    };
    let some: Vec<_> = (0..100).map(|_| begin()).collect();
    assert_eq!(publish(&server, "deps", &layer("1")).status, 201);
    let more: Vec<_> = (0..100).map(|_| begin()).collect();
    // Nothing tells when a request has begun; then one more is refused at once, and not left waiting.
    let mut tries = 0;
    let refused = loop {
        let answer = publish(&server, "deps", &layer("1"));
        if answer.status != 201 {
            break answer;
        }
        tries += 1;
        assert!(tries < 1000, "all are taken");
    };
    assert_eq!(
        (refused.status, refused.header("x-amzn-errortype")),
        (429, Some("TooManyRequestsException"))
    );
    assert_eq!(server.request("GET", LAYERS, "", b"").status, 200);
    drop((some, more));
}

#[test]
fn large_and_slow_requests_cost_a_bounded_amount_of_memory() {
    const HIGHEST: u64 = 128 << 20;
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, NOTHING);
    let before = server.open_files();
    let versions = format!("{LAYERS}/deps/versions");
    // Many that say something and then nothing.
    let mut silent = Vec::new();
    for _ in 0..100 {
        let mut stream = server.connect();
        let head = format!(
            "POST {versions} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n{{\"Content\": {{\"ZipFile\": \"AAAA"
        );
        stream.write_all(head.as_bytes()).expect("it is sent");
        silent.push(stream);
    }
    drop(silent);
    // A length that is not true of anything.
    let mut stream = server.connect();
    let head =
        format!("POST {versions} HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999\r\n\r\n");
    stream.write_all(head.as_bytes()).expect("it is sent");
    drop(stream);
    // More than anybody may send, and all of it sent.
    let mut large = format!(
        "POST {versions} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    .into_bytes();
    let chunk = vec![b' '; 1 << 20];
    for _ in 0..80 {
        write!(large, "{:x}\r\n", chunk.len()).expect("memory");
        large.extend_from_slice(&chunk);
        large.extend_from_slice(b"\r\n");
    }
    large.extend_from_slice(b"0\r\n\r\n");
    let answer = Answer::parse(&server.send(&large)).expect("an answer");
    assert_eq!(answer.status, 413, "{answer:?}");
    // Sixteen archives of 20 MB at once, which would be 430 MB of base64.
    std::thread::scope(|scope| {
        for seed in 0..16 {
            let server = &server;
            scope.spawn(move || {
                let zip = archive([file("data", noise(20_000_000, seed + 1))]).bytes();
                let answer = publish(server, "large", &zip);
                assert_eq!(answer.status, 201, "{answer:?}");
                let location = answer.json()["Content"]["Location"].clone();
                let path = location.as_str().expect("a link");
                let got = server.request("GET", path.trim_start_matches(&server.url), "", b"");
                assert!(got.body == zip, "what comes back is what was sent");
            });
        }
    });
    let peak = server.peak_memory();
    assert!(peak < HIGHEST, "{} MiB", peak >> 20);
    let listed = server
        .request("GET", &format!("{LAYERS}/large/versions"), "", b"")
        .json();
    assert_eq!(listed["LayerVersions"].as_array().map(Vec::len), Some(16));
    // Nothing of them stays open: whoever went away is noticed.
    let mut tries = 0;
    while server.open_files() > before + 8 {
        tries += 1;
        assert!(tries < 600, "{} files are open", server.open_files());
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
}

#[test]
fn what_is_published_from_s3_is_read_from_a_folder_for_each_bucket() {
    let sandbox = Sandbox::new();
    sandbox.mkdir("buckets", 0o755);
    sandbox.mkdir("buckets/artifacts", 0o755);
    sandbox.mkdir("buckets/artifacts/a b", 0o755);
    sandbox.write("buckets/artifacts/a b/deps+1.zip", layer("from s3"));
    sandbox.write("buckets/artifacts/no.zip", "no zip");
    sandbox.write("buckets/secret.zip", layer("secret"));
    let server = Server::start(&sandbox, ["--s3-root", "buckets"]);
    let publish = |content: &str| {
        let body = format!(r#"{{"Content": {content}}}"#);
        server.request(
            "POST",
            &format!("{LAYERS}/deps/versions"),
            "",
            body.as_bytes(),
        )
    };
    let published = publish(
        r#"{"S3Bucket": "artifacts", "S3Key": "a b/deps+1.zip", "S3ObjectVersion": "null"}"#,
    );
    assert_eq!(published.status, 201, "{published:?}");
    for (content, why) in [
        (
            r#"{"S3Bucket": "artifacts", "S3Key": "none.zip"}"#,
            "Error occurred while GetObject. S3 Error Code: NoSuchKey. S3 Error Message: The specified key does not exist.",
        ),
        (
            r#"{"S3Bucket": "artifacts", "S3Key": "../secret.zip"}"#,
            "Error occurred while GetObject. S3 Error Code: NoSuchKey. S3 Error Message: The specified key does not exist.",
        ),
        (
            r#"{"S3Bucket": "nobody", "S3Key": "none.zip"}"#,
            "Error occurred while GetObject. S3 Error Code: NoSuchBucket. S3 Error Message: The specified bucket does not exist",
        ),
        (
            r#"{"S3Bucket": "artifacts", "S3Key": "a b/deps+1.zip", "S3ObjectVersion": "7"}"#,
            "Error occurred while GetObject. S3 Error Code: NoSuchVersion. S3 Error Message: The specified version does not exist.",
        ),
        (
            r#"{"S3Bucket": "artifacts", "S3Key": "no.zip"}"#,
            "Could not unzip uploaded file. Please check your file, then try to upload again.",
        ),
    ] {
        let refused = publish(content);
        assert_eq!(refused.status, 400, "{content}");
        assert_eq!(refused.json()["message"], why, "{content}");
    }
}

#[cfg(feature = "s3")]
#[test]
fn what_is_published_from_s3_is_read_from_any_service_that_speaks_it() {
    let bucket = Bucket::new("artifacts");
    bucket.put("builds/deps.zip", &layer("from s3"));
    let variables = bucket.variables();
    let endpoint = &variables[1].1;
    let sandbox = Sandbox::new();
    let variables: Vec<(&str, &str)> = variables
        .iter()
        .filter(|(name, _)| *name != "SLASHOPT_STORE")
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let server = Server::start_with(&sandbox, ["--s3-endpoint", endpoint], &variables);
    let publish = |bucket: &str, key: &str| {
        let body =
            format!(r#"{{"Content": {{"S3Bucket": "{bucket}", "S3Key": "{key}"}}}}"#).into_bytes();
        server.request("POST", &format!("{LAYERS}/deps/versions"), "", &body)
    };
    let published = publish("artifacts", "builds/deps.zip");
    assert_eq!(published.status, 201, "{published:?}");
    let location = published.json()["Content"]["Location"].clone();
    let path = location
        .as_str()
        .expect("a link")
        .trim_start_matches(&server.url);
    assert_eq!(server.request("GET", path, "", b"").body, layer("from s3"));
    for (bucket, code, message) in [
        (
            "artifacts",
            "NoSuchKey",
            "The specified key does not exist.",
        ),
        (
            "nobody-made-it",
            "NoSuchBucket",
            "The specified bucket does not exist",
        ),
    ] {
        let refused = publish(bucket, "builds/none.zip");
        assert_eq!(refused.status, 400, "{refused:?}");
        assert_eq!(
            refused.json()["message"],
            format!(
                "Error occurred while GetObject. S3 Error Code: {code}. S3 Error Message: {message}"
            )
        );
    }
}

#[test]
fn several_servers_of_one_store_give_no_number_twice_though_one_is_killed() {
    let sandbox = Sandbox::new();
    assert_no_number_is_given_twice(20, || Server::start(&sandbox, NOTHING));
}

#[cfg(feature = "s3")]
#[test]
fn several_servers_of_one_bucket_give_no_number_twice_though_one_is_killed() {
    let sandbox = Sandbox::new();
    let bucket = Bucket::new("served");
    let variables = bucket.variables();
    let variables: Vec<(&str, &str)> = variables
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    assert_no_number_is_given_twice(5, || Server::start_with(&sandbox, NOTHING, &variables));
}

/// Three servers publish so many versions each, at once, while a fourth is killed that publishes too.
#[track_caller]
fn assert_no_number_is_given_twice(each: usize, start: impl Fn() -> Server) {
    let mut servers: Vec<Server> = (0..4).map(|_| start()).collect();
    let mut killed = servers.pop().expect("four were started");
    let numbers: Vec<i64> = std::thread::scope(|scope| {
        let publishers: Vec<_> = servers
            .iter()
            .enumerate()
            .map(|(place, server)| {
                scope.spawn(move || {
                    let publish = |number| {
                        let answer = publish(server, "deps", &layer(&format!("{place} {number}")));
                        assert_eq!(answer.status, 201, "{answer:?}");
                        answer.json()["Version"].as_i64().expect("a number")
                    };
                    (0..each).map(publish).collect::<Vec<i64>>()
                })
            })
            .collect();
        // Meanwhile one is killed while it publishes.
        let killed = &mut killed;
        scope.spawn(move || {
            let body = publication(&layer("killed"));
            let mut request = format!(
                "POST {LAYERS}/deps/versions HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
                body.len()
            )
            .into_bytes();
            request.extend_from_slice(&body);
            let mut stream = killed.connect();
            for _ in 0..5 {
                stream.write_all(&request).expect("it is sent");
            }
            let mut first = [0; 1];
            drop(stream.read(&mut first));
            killed.end_by(Signal::SIGKILL);
        });
        publishers
            .into_iter()
            .flat_map(|publisher| publisher.join().expect("it does not panic"))
            .collect()
    });
    let distinct: BTreeSet<i64> = numbers.iter().copied().collect();
    assert_eq!(distinct.len(), 3 * each, "{numbers:?}");
    // All are there, with all of their bytes, and so are those of the killed one that are there at all.
    let server = servers.first().expect("three are left");
    let highest = *distinct.last().expect("some");
    let mut listed = BTreeSet::new();
    let mut marker = String::new();
    loop {
        let page = server
            .request(
                "GET",
                &format!("{LAYERS}/deps/versions?MaxItems=9{marker}"),
                "",
                b"",
            )
            .json();
        for version in page["LayerVersions"].as_array().expect("a list") {
            assert!(listed.insert(version["Version"].as_i64().expect("a number")));
        }
        let Some(next) = page["NextMarker"].as_str() else {
            break;
        };
        marker.clear();
        write!(marker, "&Marker={next}").expect("memory");
    }
    assert!(listed.is_superset(&distinct));
    assert!(listed.iter().all(|number| *number <= highest + 5));
    for number in listed {
        let version = server
            .request("GET", &format!("{LAYERS}/deps/versions/{number}"), "", b"")
            .json();
        let location = version["Content"]["Location"].as_str().expect("a link");
        let archive = server.request("GET", location.trim_start_matches(&server.url), "", b"");
        assert_eq!(
            Value::from(archive.body.len()),
            version["Content"]["CodeSize"]
        );
    }
}

#[test]
fn it_ends_when_it_is_told_to_and_answers_first() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let sandbox = Sandbox::new();
        let mut server = Server::start(&sandbox, NOTHING);
        let mut stream = server.connect();
        let body = publication(&layer("1"));
        let (first, rest) = body.split_at(body.len() / 2);
        let head = format!(
            "POST {LAYERS}/deps/versions HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).expect("it is sent");
        stream.write_all(first).expect("it is sent");
        // Once another request is answered, this one has begun.
        assert_eq!(server.request("GET", LAYERS, "", b"").status, 200);
        let ended = std::thread::scope(|scope| {
            let server = &mut server;
            let ending = scope.spawn(move || server.end_by(signal));
            stream.write_all(rest).expect("it is sent");
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).expect("an answer");
            let answer = Answer::parse(&answer).expect("an answer");
            assert_eq!(answer.status, 201, "{answer:?}");
            ending.join().expect("it does not panic")
        });
        assert_eq!(ended.code(), Some(0), "{signal}");
        let left = fs::read_dir(sandbox.root().join("tmp")).expect("it is there");
        assert_eq!(left.count(), 0);
    }
}
