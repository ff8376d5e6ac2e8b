//! Bedrock: binary frames over a socket, and requests signed by the real program.

use std::process::Stdio;
use std::time::Duration;

use brownout::domain::outcome::Class;
use brownout::ground::catalog::Dialect;
use brownout::ground::config::Config;
use brownout::intake::schedule;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::process::Command;

use super::fake::{ANTHROPIC, Act, KEY, Scene, play, response, send};
use crate::sdk::python;
use crate::temp::TempFile;

const BEDROCK: Scene = Scene { dialect: Dialect::Bedrock, provider: "bedrock", ..ANTHROPIC };

const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/vnd.amazon.eventstream\r\n\
     x-amzn-requestid: ca47a5ce-1\r\nconnection: close\r\n\r\n";

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

/// A frame made by hand, with nothing of the crate that reads it.
fn frame(headers: &[(&str, &str)], payload: &str) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in headers {
        block.push(u8::try_from(name.len()).unwrap());
        block.extend_from_slice(name.as_bytes());
        block.push(7);
        block.extend_from_slice(&u16::try_from(value.len()).unwrap().to_be_bytes());
        block.extend_from_slice(value.as_bytes());
    }
    let length = u32::try_from(16 + block.len() + payload.len()).unwrap();
    let mut frame = length.to_be_bytes().to_vec();
    frame.extend_from_slice(&u32::try_from(block.len()).unwrap().to_be_bytes());
    frame.extend_from_slice(&crc32fast::hash(&frame).to_be_bytes());
    frame.extend_from_slice(&block);
    frame.extend_from_slice(payload.as_bytes());
    frame.extend_from_slice(&crc32fast::hash(&frame).to_be_bytes());
    frame
}

fn event(name: &str, payload: &str) -> Vec<u8> {
    let json = (":content-type", "application/json");
    frame(&[(":event-type", name), json, (":message-type", "event")], payload)
}

fn exception(name: &str, payload: &str) -> Vec<u8> {
    let json = (":content-type", "application/json");
    frame(&[(":exception-type", name), json, (":message-type", "exception")], payload)
}

fn start() -> Vec<u8> {
    event("messageStart", r#"{"role":"assistant","p":"abcdefgh"}"#)
}

fn content() -> Vec<u8> {
    event("contentBlockDelta", r#"{"contentBlockIndex":0,"delta":{"text":"x"},"p":"abc"}"#)
}

fn stop() -> Vec<u8> {
    event("messageStop", r#"{"stopReason":"max_tokens","p":"ab"}"#)
}

fn usage() -> Vec<u8> {
    let usage = r#"{"usage":{"inputTokens":10,"outputTokens":1,"totalTokens":11}}"#;
    event("metadata", usage)
}

fn stream(frames: &[Vec<u8>]) -> Vec<Act> {
    std::iter::once(HEAD.as_bytes().to_vec()).chain(frames.iter().cloned()).map(send).collect()
}

#[tokio::test(start_paused = true)]
async fn a_complete_stream_of_frames_is_ok_with_its_times_apart_and_its_cost() {
    let pause = Duration::from_millis(30);
    let mut acts = vec![send(HEAD), send(start()), Act::Pause(pause)];
    // A frame in two pieces comes when its end does.
    let content = content();
    let (first, second) = content.split_at(40);
    acts.extend([send(first), Act::Pause(pause), send(second), Act::Pause(pause)]);
    acts.extend([send(stop()), send(usage())]);
    let (report, request) = BEDROCK.seen(&acts).await;
    assert_eq!(report.class, Class::Ok, "{report:?}");
    assert_eq!(report.request_id.as_deref(), Some("ca47a5ce-1"));
    let (ttfb, ttft) = (report.ttfb.unwrap(), report.ttft.unwrap());
    assert!(ttft >= ttfb + pause * 2 && report.total.unwrap() >= ttft + pause, "{report:?}");
    assert!((report.cost_usd.unwrap() - 7.5e-5).abs() < 1e-12);
    for part in [
        "POST /model/m/converse-stream HTTP/1.1\r\n",
        &format!("authorization: Bearer {KEY}\r\n"),
        "accept: application/vnd.amazon.eventstream, application/json\r\n",
        "\"inferenceConfig\":{\"maxTokens\":1}",
        "\"content\":[{\"text\":\".\"}]",
    ] {
        assert!(request.contains(part), "{part} is missing in {request}");
    }
}

#[tokio::test]
async fn every_fate_of_a_stream_has_its_class() {
    let damaged = |mut frame: Vec<u8>, at: usize| {
        frame[at] ^= 0x55;
        frame
    };
    let slow = r#"{"message":"Too many requests, please wait before trying again."}"#;
    let model = r#"{"message":"x","originalStatusCode":529,"originalMessage":"Overloaded"}"#;
    let wrong = r#"{"message":"The provided model identifier is invalid."}"#;
    let down = r#"{"message":"The service isn't currently available. Try again later."}"#;
    let error = [(":message-type", "error"), (":error-code", "InternalServerException")];
    for (name, frames, class) in [
        ("no usage", vec![start(), content(), stop()], Class::Ok),
        ("no content", vec![start(), stop(), usage()], Class::Ok),
        ("throttled", vec![exception("throttlingException", slow)], Class::RateLimited),
        ("model", vec![start(), exception("modelStreamErrorException", model)], Class::Overloaded),
        (
            "unavailable after content",
            vec![start(), content(), exception("serviceUnavailableException", down)],
            Class::Overloaded,
        ),
        ("internal", vec![start(), frame(&error, "")], Class::ServerError),
        ("invalid", vec![exception("validationException", wrong)], Class::InvalidRequest),
        ("cut between frames", vec![start(), content()], Class::Network),
        ("cut inside a frame", vec![start(), stop()[..30].to_vec()], Class::Network),
        ("damaged payload", vec![start(), damaged(stop(), 70), usage()], Class::Network),
        ("damaged length", vec![damaged(start(), 1), stop()], Class::Network),
        ("damaged after the end", vec![start(), stop(), damaged(usage(), 50)], Class::Ok),
        ("no frame at all", vec![], Class::Network),
    ] {
        let report = BEDROCK.report(&stream(&frames)).await;
        assert_eq!(report.class, class, "{name}: {report:?}");
        assert_eq!(report.http_status, Some(200), "{name}");
        if class == Class::InvalidRequest {
            let complaint = "invalid_request: The provided model identifier is invalid.";
            assert_eq!(report.misconfigured.as_deref(), Some(complaint));
        }
    }
    // A length that lies does not make us wait for a frame that never ends.
    let frames = [start(), damaged(content(), 2)];
    let report = BEDROCK.report(&[stream(&frames), vec![Act::Stall]].concat()).await;
    assert_eq!(report.class, Class::Network);
}

#[tokio::test]
async fn errors_and_whole_answers_come_as_json() {
    let typed = |name: &str| {
        format!("content-type: application/json\r\nx-amzn-errortype: {name}:http://internal/\r\n")
    };
    let text = r#"{"message":"Too many tokens, please wait before trying again."}"#;
    let whole = r#"{"output":{"message":{"role":"assistant","content":[]}},
        "stopReason":"max_tokens","usage":{"inputTokens":10,"outputTokens":1}}"#;
    let cut = r#"{"output":{},"stopReason":null}"#;
    let json = "content-type: application/json\r\n".to_owned();
    for (status, headers, body, class) in [
        ("429 X", typed("ThrottlingException"), text, Class::RateLimited),
        ("503 X", typed("ServiceUnavailableException"), "{}", Class::Overloaded),
        ("500 X", typed("InternalServerException"), "{}", Class::ServerError),
        ("403 X", typed("AccessDeniedException"), "{}", Class::Auth),
        ("200 OK", json.clone(), whole, Class::Ok),
        ("200 OK", json.clone(), cut, Class::Network),
        ("200 OK", json.clone(), "{\"message\":{}}", Class::Other),
        ("200 OK", json, "{\"output\":{},\"stopRea", Class::Network),
    ] {
        let report = BEDROCK.report(&response(status, &headers, body)).await;
        assert_eq!(report.class, class, "{status} {headers} {body}: {report:?}");
    }
}

#[test]
fn a_region_is_all_that_bedrock_needs() {
    for (section, url) in [
        ("region: eu-west-1", "https://bedrock-runtime.eu-west-1.amazonaws.com"),
        ("region: cn-north-1", "https://bedrock-runtime.cn-north-1.amazonaws.com.cn"),
        ("region: eu-west-1, base_url: \"https://x.example.com/b/\"", "https://x.example.com/b"),
    ] {
        let model = "eu.anthropic.claude-haiku-4-5-v1:0";
        let yaml =
            format!("providers: {{bedrock: {{models: [\"{model}\"], {section}}}}}\nprobes:\n");
        let config = Config::parse(&yaml, "brownout.yaml").unwrap();
        let plan = schedule::plan(&config);
        let found: Vec<_> = plan.specs.iter().map(|spec| spec.url.as_str()).collect();
        let model = model.replace(':', "%3A");
        assert_eq!(found, [format!("{url}/model/{model}/converse-stream")], "{:?}", plan.refused);
        assert_eq!(plan.specs[0].target.to_string(), "bedrock/claude-haiku-4-5");
    }
}

/// Runs `brownout probe` with nothing in its environment but this.
async fn program(args: &[&str], variables: &[(&str, &str)]) -> std::process::Output {
    Command::new(env!("CARGO_BIN_EXE_brownout"))
        .arg("probe")
        .args(args)
        .env_clear()
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .envs(variables.iter().copied())
        .output()
        .await
        .unwrap()
}

/// What botocore signs a request with that was sent.
async fn signed_by_botocore(request: &str, variables: &[(&str, &str)]) -> String {
    let mut child = Command::new(python())
        .args([concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sdk/sigv4.py"), "eu-west-1"])
        .envs(variables.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(request.as_bytes()).await.unwrap();
    drop(stdin);
    let output = child.wait_with_output().await.unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[tokio::test]
async fn the_program_signs_as_botocore_does() {
    let acts = stream(&[start(), content(), stop(), usage()]);
    let keys = [("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"), ("AWS_SECRET_ACCESS_KEY", SECRET)];
    let token = ("AWS_SESSION_TOKEN", "T0P5ECRETtoken/+=");
    let static_keys = keys.to_vec();
    for variables in [static_keys, [&keys[..], &[token]].concat()] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let file = std::env::temp_dir().join(format!("brownout-bedrock-{port}.yaml"));
        let config = format!(
            "providers: {{bedrock: {{region: eu-west-1, base_url: \"http://127.0.0.1:{port}\"}}}}\n"
        );
        std::fs::write(&file, config).unwrap();
        let target = "bedrock/us.anthropic.claude-haiku-4-5-v1:0";
        let args = [target, "--json", "--config.file", file.to_str().unwrap()];
        let serving = async { play(listener.accept().await.unwrap().0, &acts).await };
        let (output, request) = tokio::join!(program(&args, &variables), serving);
        std::fs::remove_file(&file).unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let path = "POST /model/us.anthropic.claude-haiku-4-5-v1%3A0/converse-stream HTTP/1.1\r\n";
        assert!(request.starts_with(path), "{request}");
        let signature = signed_by_botocore(&request, &variables).await;
        assert!(request.contains(&format!("authorization: {signature}\r\n")), "{signature}");
        for text in [&output.stdout, &output.stderr] {
            let text = String::from_utf8_lossy(text);
            assert!(!text.contains(SECRET) && !text.contains("T0P5ECRET"), "{text}");
        }
    }
}

#[tokio::test]
async fn without_a_region_or_credentials_the_remedy_is_named() {
    let target = "bedrock/us.anthropic.claude-haiku-4-5-v1:0";
    let output = program(&[target], &[]).await;
    assert_eq!(output.status.code(), Some(64), "{output:?}");
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("set AWS_REGION or configure providers.bedrock.region"), "{text}");
    let output = program(&[target], &[("AWS_REGION", "eu-west-1")]).await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("no AWS credentials found: set AWS_ACCESS_KEY_ID"), "{text}");
}

/// What STS answers to whoever takes on a role.
fn assumed_role([id, secret, token]: &[&str; 3]) -> String {
    format!(
        "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
         <AssumeRoleResult><AssumedRoleUser><AssumedRoleId>AROA:brownout</AssumedRoleId>\
         <Arn>arn:aws:sts::123456789012:assumed-role/probes/brownout</Arn></AssumedRoleUser>\
         <Credentials><AccessKeyId>{id}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey>\
         <SessionToken>{token}</SessionToken><Expiration>2999-01-01T00:00:00Z</Expiration>\
         </Credentials></AssumeRoleResult></AssumeRoleResponse>"
    )
}

#[tokio::test]
async fn a_role_is_taken_on_with_what_the_source_profiles_program_prints() {
    let sts = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let bedrock = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let sts_url = format!("http://{}", sts.local_addr().unwrap());
    let address = bedrock.local_addr().unwrap();
    let printed =
        format!(r#"{{"Version":1,"AccessKeyId":"AKIDPRINTED","SecretAccessKey":"{SECRET}"}}"#);
    let printed = TempFile::new("credentials.json", &printed);
    let profiles = format!(
        "[profile team]\nrole_arn = arn:aws:iam::123456789012:role/probes\n\
         external_id = e-17\nrole_session_name = brownout\nsource_profile = base\n\
         [profile base]\ncredential_process = cat \"{}\"\n",
        printed.path()
    );
    let profiles = TempFile::new("profiles.ini", &profiles);
    let config = TempFile::new(
        "role.yaml",
        &format!("providers: {{bedrock: {{region: eu-west-1, base_url: \"http://{address}\"}}}}\n"),
    );
    let assumed = [
        ("AWS_ACCESS_KEY_ID", "ASIAASSUMED"),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
        ("AWS_SESSION_TOKEN", "T0P5ECRETtoken/+="),
    ];
    let answer = assumed_role(&assumed.map(|(_, value)| value));
    let answer = response("200 OK", "content-type: text/xml\r\n", &answer);
    let acts = stream(&[start(), content(), stop(), usage()]);
    let serving = async {
        let assuming = play(sts.accept().await.unwrap().0, &answer).await;
        (assuming, play(bedrock.accept().await.unwrap().0, &acts).await)
    };
    let target = "bedrock/us.anthropic.claude-haiku-4-5-v1:0";
    let variables = [
        ("PATH", &*std::env::var("PATH").unwrap()),
        ("AWS_PROFILE", "team"),
        ("AWS_CONFIG_FILE", profiles.path()),
        ("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent"),
        ("AWS_ENDPOINT_URL_STS", &sts_url),
    ];
    let args = [target, "--json", "--config.file", config.path()];
    let output = program(&args, &variables);
    tokio::pin!(output);
    let (assuming, request) = tokio::select! {
        requests = serving => requests,
        output = &mut output => panic!("ended before it asked: {output:?}"),
    };
    let output = output.await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    for part in [
        "Credential=AKIDPRINTED/",
        "/eu-west-1/sts/aws4_request",
        "Action=AssumeRole",
        "role%2Fprobes",
        "ExternalId=e-17",
        "RoleSessionName=brownout",
    ] {
        assert!(assuming.contains(part), "{part} is missing in {assuming}");
    }
    let signature = signed_by_botocore(&request, &assumed).await;
    assert!(request.contains(&format!("authorization: {signature}\r\n")), "{signature}");
}
