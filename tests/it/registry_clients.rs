//! AWS's own clients, unmodified, against the registry's server: boto3, the `aws` command, SAM CLI's downloader of layers, and
//! the SDK for JavaScript.

use std::fs;
use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::support::command::{Sandbox, skip_without};
use crate::support::machine::{PATH, tool};
use crate::support::server::{Server, aws_clients};
use crate::support::tree::Tree;
use crate::support::zip::{archive, file};

fn script(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/it/registry_clients")
        .join(name)
}

#[track_caller]
fn done(output: &Output) -> String {
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{stdout}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    stdout
}

/// A sandbox with `layer.zip` in it.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    let layer = archive([
        file("python/m.py", "VALUE = 1\n"),
        file("bin/tool", "#!/bin/sh\n").mode(0o755),
    ]);
    sandbox.archive("layer.zip", &layer);
    sandbox
}

#[test]
fn boto3_gets_the_services_answers_to_every_operation() {
    if skip_without("python3") {
        return;
    }
    let clients = aws_clients("python");
    let sandbox = sandbox();
    let server = Server::start(&sandbox, [""; 0]);
    let output = tool(clients.join("bin/python"))
        .arg(script("boto3_operations.py"))
        .arg(&server.url)
        .arg(sandbox.path("layer.zip"))
        .output()
        .expect("it starts");
    assert_eq!(done(&output), "done\n");
}

#[test]
fn the_sdk_for_javascript_gets_them_too() {
    if skip_without("node") {
        return;
    }
    let clients = aws_clients("node");
    let sandbox = sandbox();
    let server = Server::start(&sandbox, [""; 0]);
    let output = tool("node")
        .arg(script("sdk.mjs"))
        .arg(&server.url)
        .arg(sandbox.path("layer.zip"))
        .arg(clients)
        .output()
        .expect("it starts");
    assert_eq!(done(&output), "done\n");
}

#[test]
fn the_aws_command_publishes_lists_shares_and_deletes() {
    if skip_without("python3") {
        return;
    }
    let clients = aws_clients("python");
    let sandbox = sandbox();
    sandbox.mkdir("buckets", 0o755);
    sandbox.mkdir("buckets/artifacts", 0o755);
    fs::copy(
        sandbox.path("layer.zip"),
        sandbox.path("buckets/artifacts/layer.zip"),
    )
    .expect("it is copied");
    let server = Server::start(&sandbox, ["--s3-root", "buckets"]);
    // Words are split at spaces.
    let aws = |line: &str| {
        tool(clients.join("bin/aws"))
            .arg("lambda")
            .args(line.split_whitespace())
            .current_dir(sandbox.work())
            .env_clear()
            .env("PATH", PATH)
            .env("HOME", sandbox.home())
            .env("AWS_ENDPOINT_URL_LAMBDA", &server.url)
            .env("AWS_ACCESS_KEY_ID", "111111111111")
            .env("AWS_SECRET_ACCESS_KEY", "unused")
            .env("AWS_DEFAULT_REGION", "eu-central-1")
            .env("AWS_MAX_ATTEMPTS", "1")
            .output()
            .expect("it starts")
    };
    let refused = |line: &str, operation: &str, answer: &str| {
        let output = aws(line);
        assert!(
            matches!(output.status.code(), Some(254 | 255)),
            "{output:?}"
        );
        let (code, message) = answer.split_once(": ").expect("a code and a message");
        let expected =
            format!("An error occurred ({code}) when calling the {operation} operation: {message}");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains(&expected), "{said}");
    };
    let arn = "arn:aws:lambda:eu-central-1:111111111111:layer:deps";
    let published = aws(
        "publish-layer-version --layer-name deps --zip-file fileb://layer.zip --compatible-runtimes python3.12 python3.13 --query LayerVersionArn --output text",
    );
    assert_eq!(done(&published), format!("{arn}:1\n"));
    let from_s3 = aws(
        "publish-layer-version --layer-name deps --content S3Bucket=artifacts,S3Key=layer.zip --query Version",
    );
    assert_eq!(done(&from_s3), "2\n");
    refused(
        "publish-layer-version --layer-name deps --content S3Bucket=artifacts,S3Key=no.zip",
        "PublishLayerVersion",
        "InvalidParameterValueException: Error occurred while GetObject. S3 Error Code: NoSuchKey. S3 Error Message: The specified key does not exist.",
    );
    let newest = aws("list-layer-versions --layer-name deps --query LayerVersions[0].Version||`0`");
    assert_eq!(done(&newest), "2\n");
    let added = aws(
        "add-layer-version-permission --layer-name deps --version-number 1 --statement-id all --action lambda:GetLayerVersion --principal *",
    );
    let added: Value = serde_json::from_str(&done(&added)).expect("JSON");
    let statement = added["Statement"].as_str().expect("a string");
    assert!(statement.contains("\"Sid\":\"all\""), "{statement}");
    let location = aws(&format!(
        "get-layer-version-by-arn --arn {arn}:1 --query Content.Location --output text"
    ));
    let location = done(&location);
    let path = location.trim().trim_start_matches(&server.url);
    let downloaded = server.request("GET", path, "", b"");
    assert_eq!(
        downloaded.body,
        fs::read(sandbox.path("layer.zip")).expect("it is there")
    );
    let deleted = aws("delete-layer-version --layer-name deps --version-number 1");
    assert_eq!(done(&deleted), "");
    refused(
        "get-layer-version --layer-name deps --version-number 1",
        "GetLayerVersion",
        "ResourceNotFoundException: The resource you requested does not exist.",
    );
}

#[test]
fn sam_downloads_what_was_published() {
    if skip_without("python3") {
        return;
    }
    let clients = aws_clients("sam");
    let sandbox = sandbox();
    let server = Server::start(&sandbox, [""; 0]);
    // By the command: the store is the same.
    let arguments = ["registry", "publish", "deps", "layer.zip"];
    let published = sandbox.slashopt(arguments).success();
    let arn = published.stdout().trim().to_owned();
    let output = tool(clients.join("bin/python"))
        .arg(script("sam_download.py"))
        .arg(&arn)
        .arg(sandbox.path("sam-cache"))
        .current_dir(sandbox.work())
        .env_clear()
        .env("PATH", PATH)
        .env("HOME", sandbox.home())
        .env("TMPDIR", sandbox.root().join("tmp"))
        .env("SAM_CLI_TELEMETRY", "0")
        .env("AWS_ENDPOINT_URL_LAMBDA", &server.url)
        .env("AWS_ACCESS_KEY_ID", "000000000000")
        .env("AWS_SECRET_ACCESS_KEY", "unused")
        .env("AWS_DEFAULT_REGION", "us-east-1")
        .output()
        .expect("it starts");
    let into = done(&output);
    let into = into.lines().last().unwrap_or_default();
    sandbox
        .slashopt(["extract", "layer.zip", "--into", "opt"])
        .success();
    // SAM keeps neither modes nor times.
    let content = |tree: Tree| {
        let names = ["python/m.py", "bin/tool"];
        names.map(|name| tree.text(name))
    };
    assert_eq!(
        content(Tree::read(Path::new(into))),
        content(sandbox.tree("opt"))
    );
}
