//! AWS's own runtime clients, which stand between the service and a handler, serve invocations of handlers that import from the
//! layers: `exec` starts them as a container does.

use std::ffi::OsStr;
use std::fs;
use std::process::{Child, Stdio};

use serde_json::{Value, json};

use crate::real_layers::real;
use crate::support::command::{Sandbox, skip_without};
use crate::support::machine::{PATH, tool};
use crate::support::project::{output, program, run_script};
use crate::support::runtime_api::RuntimeApi;

/// A function that is being served; it ends with the value.
struct Function(Child);

impl Drop for Function {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Installs a runtime client.
fn client(kind: &str) {
    if let Err(why) = run_script("runtime-clients", &[kind]) {
        panic!("the runtime client could not be installed: {why}");
    }
}

/// Starts a runtime client with layers and a function in the sandbox's `work`.
fn serve(
    sandbox: &Sandbox,
    api: &RuntimeApi,
    runtime: &str,
    layers: &[&str],
    command: &[&OsStr],
) -> Function {
    let child = tool(program())
        .arg("exec")
        .args(layers.iter().map(|name| real(name)))
        .args(["--runtime", runtime, "--task-root"])
        .arg(sandbox.work())
        .arg("--env")
        .arg(format!("AWS_LAMBDA_RUNTIME_API={}", api.address))
        .args([
            "--env",
            "_HANDLER=app.handler",
            "--env",
            "AWS_LAMBDA_FUNCTION_NAME=f",
        ])
        .args(["--env", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE=128"])
        .arg("--cache-dir")
        .arg(sandbox.home().join("cache"))
        .args(["--quota", "off", "-q", "--"])
        .args(command)
        .env_clear()
        .env("PATH", PATH)
        .env("HOME", sandbox.home())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("it starts");
    Function(child)
}

#[test]
fn awslambdaric_serves_a_handler_that_imports_from_the_layers() {
    if skip_without("python3.11") {
        return;
    }
    client("python");
    let sandbox = Sandbox::new();
    fs::write(
        sandbox.path("app.py"),
        "import os, requests, urllib3\n\
         def handler(event, context):\n    \
             if event.get('fail'):\n        \
                 raise ValueError(event['fail'])\n    \
             return {'sum': event['a'] + event['b'], 'from': requests.__file__, 'urllib3': urllib3.__version__,\n            \
                     'request': context.aws_request_id, 'cwd': os.getcwd()}\n",
    )
    .expect("the handler is written");
    let api = RuntimeApi::start([r#"{"a": 1, "b": 2}"#, r#"{"fail": "on purpose"}"#]);
    let python = output("runtime-clients/python/bin/python");
    let _function = serve(
        &sandbox,
        &api,
        "python3.11",
        &["python-requests-new"],
        &[
            python.as_ref(),
            OsStr::new("-m"),
            OsStr::new("awslambdaric"),
            OsStr::new("app.handler"),
        ],
    );
    let first = api.posted();
    assert_eq!(
        (first.kind.as_str(), first.invocation.as_str()),
        ("response", "request-0"),
        "{}",
        first.body
    );
    let answer: Value = serde_json::from_str(&first.body).expect("JSON");
    assert_eq!(answer["sum"], 3);
    assert_eq!(answer["request"], "request-0");
    assert_eq!(answer["cwd"], "/var/task");
    let from = answer["from"].as_str().expect("a path");
    assert!(from.starts_with("/opt/python/"), "{from}");

    let second = api.posted();
    assert_eq!(
        (second.kind.as_str(), second.invocation.as_str()),
        ("error", "request-1")
    );
    let error: Value = serde_json::from_str(&second.body).expect("JSON");
    assert_eq!(error["errorType"], "ValueError");
    assert_eq!(error["errorMessage"], "on purpose");
}

#[test]
fn aws_lambda_ric_serves_a_handler_that_imports_from_the_layers() {
    if skip_without("node") || skip_without("npm") || skip_without("cmake") {
        return;
    }
    client("node");
    let sandbox = Sandbox::new();
    fs::write(
        sandbox.path("app.mjs"),
        "import { S3Client } from '@aws-sdk/client-s3';\n\
         export const handler = async (event) => ({ sum: event.a + event.b, name: S3Client.name,\n\
         from: import.meta.resolve ? 'import' : '', cwd: process.cwd() });\n",
    )
    .expect("the handler is written");
    let api = RuntimeApi::start([r#"{"a": 20, "b": 22}"#]);
    let entry = output("runtime-clients/node/node_modules/aws-lambda-ric/bin/index.mjs");
    let _function = serve(
        &sandbox,
        &api,
        "nodejs20.x",
        &["node-aws-sdk"],
        &[
            OsStr::new("node"),
            entry.as_ref(),
            OsStr::new("app.handler"),
        ],
    );
    let answered = api.posted();
    assert_eq!(answered.kind, "response", "{}", answered.body);
    let answer: Value = serde_json::from_str(&answered.body).expect("JSON");
    assert_eq!(
        answer,
        json!({"sum": 42, "name": "S3Client", "from": "import", "cwd": "/var/task"})
    );
}
