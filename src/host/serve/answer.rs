//! One request, from its head to its answer.

use std::convert::Infallible;
use std::time::Instant;

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{self, HeaderValue};
use hyper::{HeaderMap, Method, Response, StatusCode};
use percent_encoding::percent_decode_str;

use super::body::{Taken, ignore};
use super::links::{self, BadLink};
use super::service::Registry;
use super::shapes;
use super::upload::UploadError;
use crate::host::serve::refused::Refused;
use crate::host::store::{Spool, new_uuid, now};
use crate::quota::MAX_UNZIPPED_BYTES;
use crate::registry::call::Call;
use crate::registry::request::{Publish, invalid_marker};
use crate::registry::signature::Received;
use crate::registry::{
    ApiError, ArchiveSource, Caller, Code, LayerVersion, Policy, Request, VersionArn, operations,
    policy,
};
use crate::timestamp::Timestamp;

/// The body of an answer.
pub(super) type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// Answers a request, whatever it is.
pub(super) async fn answer(
    registry: &Registry,
    request: hyper::Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let start = Instant::now();
    let (head, body) = request.into_parts();
    let path = head.uri.path().to_owned();
    let mut response = if path.starts_with(links::ROOT) {
        follow_link(registry, &head, body).await
    } else {
        match operate(registry, &head, body).await {
            Ok(response) => response,
            Err(refused) => refusal(&refused.into_error()),
        }
    };
    let headers = response.headers_mut();
    headers.insert(
        header::SERVER,
        HeaderValue::from_static(super::service::PRODUCT),
    );
    if let Ok(id) = new_uuid()
        && let Ok(id) = HeaderValue::from_str(&id)
    {
        headers.insert("x-amzn-requestid", id);
    }
    // Without the query, which may hold the signature of a link.
    tracing::info!(
        method = %head.method,
        path,
        status = response.status().as_u16(),
        milliseconds = start.elapsed().as_millis(),
        "answered"
    );
    Ok(response)
}

/// An operation on layers.
async fn operate(
    registry: &Registry,
    head: &hyper::http::request::Parts,
    body: Incoming,
) -> Result<Response<Body>, Refused> {
    let path: Vec<String> = head
        .uri
        .path()
        .split('/')
        .skip(1)
        // Split first: the ARN of a layer is one part, with all that is encoded in it.
        .map(|part| percent_decode_str(part).decode_utf8_lossy().into_owned())
        .collect();
    let query = head.uri.query().unwrap_or_default();
    let Some(call) = Call::route(head.method.as_str(), &path, &pairs(query)) else {
        ignore(body).await;
        return Err(not_ours(head).into());
    };

    if registry.keys.is_empty() && is_from_a_web_page(&head.headers) {
        ignore(body).await;
        return Err(ApiError::new(
            Code::AccessDenied,
            "This registry verifies no signatures, so it answers no web pages: serve it with --keys",
        )
        .into());
    }

    let headers: Vec<(&str, &[u8])> = head
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()))
        .collect();
    let received = Received {
        method: head.method.as_str(),
        path: head.uri.path(),
        query,
        headers: &headers,
    };
    let authorization = head.headers.get(header::AUTHORIZATION);
    let authorization = authorization.map(|value| String::from_utf8_lossy(value.as_bytes()));
    let identity = registry.keys.identify(
        &received,
        authorization.as_deref(),
        &registry.anybody,
        Timestamp(now().div_euclid(1000)),
    );
    let identity = match identity {
        Ok(identity) => identity,
        Err(error) => {
            ignore(body).await;
            return Err(error.into());
        }
    };
    let takes_archive = matches!(call, Call::Publish { .. });
    let place = takes_archive.then(|| registry.uploads.try_acquire());
    if matches!(place, Some(Err(_))) {
        ignore(body).await;
        return Err(ApiError::rate_exceeded().into());
    }
    let archive = if takes_archive {
        Some(spool(registry)?)
    } else {
        None
    };
    let mut taken = Taken::new(archive, identity.unverified.is_some());
    taken.take(body, &head.headers).await?;
    if let Some(unverified) = &identity.unverified {
        unverified.verify(&received, &taken.digest())?;
    }
    drop(place);
    let caller = identity.caller;
    let (fields, spool) = taken.into_fields(&call)?;
    let request = Request::judge(call, fields, &caller)?;
    perform(registry, request, spool, &caller, head).await
}

/// Whether a browser sends the request for a page of another origin. The browser says so itself, and no page can prevent it:
/// every request has an `Origin` but a plain read, whose answer the page cannot see (*Fetch Standard* 3.2).
fn is_from_a_web_page(headers: &HeaderMap) -> bool {
    headers.contains_key(header::ORIGIN)
        || headers
            .get("sec-fetch-site")
            .is_some_and(|site| site == "cross-site" || site == "same-site")
}

async fn perform(
    registry: &Registry,
    request: Request,
    spool: Option<Spool>,
    caller: &Caller,
    head: &hyper::http::request::Parts,
) -> Result<Response<Body>, Refused> {
    let store = &registry.store;
    match request {
        Request::Publish(publish) => {
            let version = publish_version(registry, &publish, spool).await?;
            let link = location(registry, &version, &head.headers);
            Ok(json(StatusCode::CREATED, shapes::version(&version, &link)))
        }
        Request::Get(arn) => {
            let found = store.find(&arn).await?;
            let policy = if arn.layer.account == caller.account {
                None
            } else {
                store.policy(&arn).await?
            };
            let version = operations::get(caller, &arn, found, policy.as_ref())?;
            let link = location(registry, &version, &head.headers);
            Ok(json(StatusCode::OK, shapes::version(&version, &link)))
        }
        Request::GetOfTheService => Err(ApiError::no_such_resource().into()),
        Request::ListLayers(listing) => {
            let page = store
                .layers(&caller.account, &caller.region, &listing)
                .await?;
            Ok(json(StatusCode::OK, shapes::layers(&page)))
        }
        Request::ListVersions(layer, listing) => {
            let page = store.versions(&layer, &listing).await?;
            let page = page.ok_or_else(invalid_marker)?;
            Ok(json(StatusCode::OK, shapes::versions(&page)))
        }
        Request::Delete(arn) => {
            store.delete(&arn).await?;
            Ok(no_content())
        }
        Request::AddPermission(arn, statement, revision) => {
            let after = change(registry, &arn, |before, new_revision| {
                Policy::with(
                    before,
                    &arn,
                    statement.clone(),
                    revision.as_deref(),
                    new_revision,
                )
            });
            let after = after.await?;
            let body = shapes::statement(&statement.to_json(&arn), &after.revision_id);
            Ok(json(StatusCode::CREATED, body))
        }
        Request::GetPolicy(arn) => {
            operations::must_exist(&arn, store.find(&arn).await?)?;
            let policy = store.policy(&arn).await?;
            let policy = policy::present(policy.as_ref())?;
            let body = shapes::policy(&policy.to_json(&arn), &policy.revision_id);
            Ok(json(StatusCode::OK, body))
        }
        Request::RemovePermission(arn, sid, revision) => {
            let after = change(registry, &arn, |before, new_revision| {
                Policy::without(before, &sid, revision.as_deref(), new_revision)
            });
            after.await?;
            Ok(no_content())
        }
    }
}

async fn change(
    registry: &Registry,
    arn: &VersionArn,
    change: impl Fn(Option<&Policy>, String) -> Result<Policy, ApiError>,
) -> Result<Policy, Refused> {
    operations::must_exist(arn, registry.store.find(arn).await?)?;
    Ok(registry.store.change_policy(arn, change).await??)
}

async fn publish_version(
    registry: &Registry,
    publish: &Publish,
    spool: Option<Spool>,
) -> Result<LayerVersion, Refused> {
    let _turn = registry.publications.acquire().await;
    let spool = match &publish.content {
        ArchiveSource::Uploaded => spool.ok_or_else(ApiError::not_a_zip)?,
        ArchiveSource::Object {
            bucket,
            key,
            version,
        } => fetch(registry, bucket, key, version.clone()).await?,
    };
    let archive = spool.finish();
    let budget = std::sync::Arc::clone(&registry.budget);
    let name = publish.layer.to_string();
    // Work for a processor, which would keep others from being answered.
    let judged = tokio::task::spawn_blocking(move || {
        let waivers = archive.judge(&name, &budget)?;
        for refusal in &waivers {
            tracing::warn!(layer = name, refusal = %refusal.rule, "published all the same");
        }
        Ok::<_, ApiError>(archive)
    });
    let archive = judged
        .await
        .map_err(|error| ApiError::new(Code::Service, error.to_string()))??;
    Ok(registry.store.publish(publish, &archive).await?)
}

/// Takes an archive in that lies in S3.
async fn fetch(
    registry: &Registry,
    bucket: &str,
    key: &str,
    version: Option<String>,
) -> Result<Spool, Refused> {
    use std::io::Write as _;
    if registry.store.location().holds(bucket, key) {
        // Whoever knows a digest would get around policies.
        return Err(ApiError::get_object("AccessDenied", "Access Denied").into());
    }
    let object = registry.objects.get(bucket, key, version).await?;
    let mut spool = spool(registry)?;
    let mut parts = object.into_stream();
    loop {
        let part = parts.try_next().await;
        let part =
            part.map_err(|error| ApiError::get_object("ServiceUnavailable", &error.to_string()))?;
        let Some(part) = part else { return Ok(spool) };
        if spool.bytes() + part.len() as u64 > MAX_UNZIPPED_BYTES {
            return Err(ApiError::unzipped_too_large().into());
        }
        spool.write_all(&part).map_err(UploadError::Io)?;
    }
}

fn spool(registry: &Registry) -> Result<Spool, Refused> {
    let spool = registry.store.spool().map_err(UploadError::Io)?;
    Ok(spool)
}

/// Decodes a query.
fn pairs(query: &str) -> Vec<(String, String)> {
    let decode = |text: &str| {
        let text = text.replace('+', " ");
        percent_decode_str(&text).decode_utf8_lossy().into_owned()
    };
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(key, value)| (decode(key), decode(value)))
        .collect()
}

/// A link to a version's archive, at the name by which this server was called.
fn location(registry: &Registry, version: &LayerVersion, headers: &HeaderMap) -> String {
    let is_host = |byte: &u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(byte);
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .filter(|host| !host.is_empty() && host.as_bytes().iter().all(is_host));
    let base = match (&registry.public_url, host) {
        (Some(url), _) => url.clone(),
        (None, Some(host)) => format!("http://{host}"),
        (None, None) => format!("http://{}", registry.address),
    };
    let path = registry
        .links
        .to(version, Timestamp(now().div_euclid(1000)));
    format!("{base}{path}")
}

/// Sends an archive to who has a link to it. Refusals are those of S3, in XML.
async fn follow_link(
    registry: &Registry,
    head: &hyper::http::request::Parts,
    body: Incoming,
) -> Response<Body> {
    ignore(body).await;
    if head.method != Method::GET && head.method != Method::HEAD {
        return xml(
            StatusCode::METHOD_NOT_ALLOWED,
            "MethodNotAllowed",
            "The specified method is not allowed against this resource.",
        );
    }
    let now = Timestamp(now().div_euclid(1000));
    let query = head.uri.query().unwrap_or_default();
    let digest = match registry.links.follow(head.uri.path(), query, now) {
        Ok(digest) => digest,
        Err(BadLink::Expired) => {
            return xml(StatusCode::FORBIDDEN, "AccessDenied", "Request has expired");
        }
        Err(BadLink::NotSigned) => {
            return xml(
                StatusCode::FORBIDDEN,
                "SignatureDoesNotMatch",
                "The request signature we calculated does not match the signature you provided.",
            );
        }
    };
    let archive = match registry.store.archive(&digest).await {
        Ok(Some(archive)) => archive,
        Ok(None) => {
            return xml(
                StatusCode::NOT_FOUND,
                "NoSuchKey",
                "The specified key does not exist.",
            );
        }
        Err(error) => {
            tracing::error!(%error, "the store failed");
            let message = "Please reduce your request rate.";
            return xml(StatusCode::SERVICE_UNAVAILABLE, "SlowDown", message);
        }
    };
    let length = HeaderValue::from(archive.meta.size);
    let body = if head.method == Method::HEAD {
        whole(Vec::new())
    } else {
        let parts = archive.into_stream();
        StreamBody::new(parts.map_ok(Frame::data).map_err(std::io::Error::other)).boxed_unsync()
    };
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, length);
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/zip"),
    );
    response
}

/// The answer to a request for something else.
fn not_ours(head: &hyper::http::request::Parts) -> ApiError {
    ApiError::new(
        Code::UnknownOperation,
        format!(
            "{} {} is none of Lambda's operations on layers, and this server, {}, has no others",
            head.method,
            head.uri.path(),
            super::service::PRODUCT
        ),
    )
}

fn refusal(error: &ApiError) -> Response<Body> {
    let status = StatusCode::from_u16(error.code.status()).unwrap_or(StatusCode::BAD_REQUEST);
    let mut response = json(status, shapes::error(error));
    response.headers_mut().insert(
        "x-amzn-errortype",
        HeaderValue::from_static(error.code.name()),
    );
    response
}

fn json(status: StatusCode, body: Vec<u8>) -> Response<Body> {
    typed(status, "application/json", body)
}

fn xml(status: StatusCode, code: &str, message: &str) -> Response<Body> {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    );
    typed(status, "application/xml", body.into_bytes())
}

fn typed(status: StatusCode, kind: &'static str, body: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(whole(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn no_content() -> Response<Body> {
    let mut response = Response::new(whole(Vec::new()));
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

fn whole(body: Vec<u8>) -> Body {
    Full::new(Bytes::from(body))
        .map_err(|never| match never {})
        .boxed_unsync()
}
