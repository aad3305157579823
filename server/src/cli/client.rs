//! The verbs' side of the HTTP API: where the server is, how to ask it, and what went wrong in words
//! that say what to do.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use litevfs::certificate::{self, Verifier};
use litevfs::peer::{BaseUrl, field, said};
use litevfs::types::ClusterName;
use reqwest::header::{AUTHORIZATION, HeaderValue, LOCATION};
use reqwest::{Method, RequestBuilder, Response, StatusCode, redirect};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{CertificateError, ClientConfig, RootCertStore};
use serde::Deserialize;
use serde_json::Value;

use super::again::Tries;
use super::causes::{root_cause, tls_error_of};

/// How a verb ends.
pub(super) type Done<T = ()> = Result<T, Box<dyn Error>>;

/// The longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest wait for the answer to a call that is not long by nature.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// Bytes of the longest error, and of other answers, to read.
const MAX_ERROR_LEN: usize = 64 << 10;
const MAX_JSON_LEN: usize = 64 << 20;

/// Which server, and as whom. The environment variables are those of the extension.
#[derive(Args)]
pub(super) struct ServerArgs {
    /// The server's URL.
    #[arg(
        long,
        value_name = "URL",
        env = "LITEFS_CLOUD_HOST",
        default_value = "http://127.0.0.1:20202"
    )]
    host: String,
    /// The token to show it.
    #[arg(long, value_name = "T", env = "LITEFS_CLOUD_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// The cluster to work in; not needed with a token for one cluster.
    #[arg(long, value_name = "NAME", env = "LITEFS_CLOUD_CLUSTER")]
    cluster: Option<String>,
    /// Trust the certificate authorities in this PEM file, beside the system's.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    pub(super) json: bool,
}

/// An answer that is an error.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub(super) struct Refused {
    /// The API's code, empty if there is none.
    pub(super) code: String,
    text: String,
}

/// A server to ask.
pub(super) struct Client {
    http: reqwest::Client,
    base: String,
    token: Option<HeaderValue>,
    cluster: Option<ClusterName>,
}

impl Client {
    /// The client for those arguments; nothing is sent yet.
    pub(super) fn new(args: &ServerArgs) -> Done<Client> {
        // None is there by default, so that there is only one in the program.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let url = BaseUrl::parse(&args.host, "--host or LITEFS_CLOUD_HOST")?;
        let base = url.to_string();
        let mut http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(redirect::Policy::none())
            .user_agent(concat!("litevfs-cloud/", env!("CARGO_PKG_VERSION")));
        // Not even looked for with plain HTTP: a machine without any can still speak that.
        http = if url.https {
            http.tls_backend_preconfigured(tls(args.ca.as_deref())?)
        } else {
            http.tls_certs_only([])
        };
        let http = http.build().map_err(|error| format!("HTTP: {}", root_cause(&error)))?;
        let token = args.token.as_deref().filter(|token| !token.is_empty()).map(|token| {
            let place = |why| format!("--token or LITEFS_CLOUD_TOKEN: {why}");
            let mut value = HeaderValue::from_str(field::token(token).map_err(place)?)?;
            value.set_sensitive(true);
            Ok::<_, Box<dyn Error>>(value)
        });
        let cluster = args.cluster.as_deref().filter(|cluster| !cluster.is_empty());
        let cluster = cluster.map(|cluster| {
            let place = |why| format!("--cluster or LITEFS_CLOUD_CLUSTER: {why}");
            cluster.parse::<ClusterName>().map_err(place)
        });
        Ok(Client { http, base, token: token.transpose()?, cluster: cluster.transpose()? })
    }

    /// A call that may take long; see [`Client::send`].
    pub(super) fn call(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
    ) -> RequestBuilder {
        let mut request = self.http.request(method, format!("{}{path}", self.base)).query(query);
        if let Some(cluster) = &self.cluster
            && !query.iter().any(|(name, _)| *name == "cluster")
        {
            request = request.query(&[("cluster", cluster.as_str())]);
        }
        match &self.token {
            Some(token) => request.header(AUTHORIZATION, token.clone()),
            None => request,
        }
    }

    /// Makes a call, again where that helps and does no harm, and returns its answer, which is a success.
    pub(super) async fn send(&self, request: RequestBuilder) -> Done<Response> {
        let mut request = request.build().map_err(|error| self.broken(&error))?;
        let mut tries = Tries::new(request.method().clone());
        let answer = loop {
            // There is none of a body that is read from somewhere.
            let copy = request.try_clone();
            let outcome = self.http.execute(request).await;
            match (tries.next(&outcome), copy) {
                (Some(wait), Some(copy)) => {
                    tokio::time::sleep(wait).await;
                    request = copy;
                }
                _ => break outcome.map_err(|error| self.broken(&error))?,
            }
        };
        if answer.status().is_success() {
            return Ok(answer);
        }
        let status = answer.status();
        let location = answer.headers().get(LOCATION).and_then(|to| to.to_str().ok());
        let location = location.map(|to| said::clean(to, 100));
        let body = tokio::time::timeout(ANSWER_TIMEOUT, read(answer, MAX_ERROR_LEN)).await;
        let body = body.ok().and_then(Result::ok).unwrap_or_default();
        Err(self.refused(status, location, &body).into())
    }

    /// Makes a short call and returns the JSON of its answer; null when that is empty.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
    ) -> Done<Value> {
        self.json(self.call(method, path, query).timeout(ANSWER_TIMEOUT)).await
    }

    /// Makes a call and returns the JSON of its answer; null when that is empty.
    pub(super) async fn json(&self, request: RequestBuilder) -> Done<Value> {
        let answer = self.send(request).await?;
        let body = read(answer, MAX_JSON_LEN).await.map_err(|error| self.broken(&error))?;
        if body.is_empty() {
            return Ok(Value::Null);
        }
        let what = || format!("{} did not answer with JSON: is it a litevfs-cloud?", self.base);
        Ok(serde_json::from_slice(&body).map_err(|_| what())?)
    }

    /// What to say when the connection failed.
    pub(super) fn broken(&self, error: &reqwest::Error) -> String {
        let (base, cause) = (&self.base, root_cause(error));
        match tls_error_of(error) {
            None => {}
            Some(rustls::Error::InvalidMessage(_)) => {
                return format!("{base} does not speak TLS: give http:// instead of https://");
            }
            Some(rustls::Error::InvalidCertificate(error)) => return wrong(base, error),
            Some(error) => return format!("no secure connection to {base}: {error}"),
        }
        if error.is_timeout() {
            return format!("{base} did not answer in time: is it overloaded, or --host wrong?");
        }
        if error.is_connect() {
            return format!("cannot reach {base} ({cause}): is it running, and --host right?");
        }
        format!("the connection to {base} broke ({cause}): try again")
    }

    fn refused(&self, status: StatusCode, location: Option<String>, body: &[u8]) -> Refused {
        #[derive(Deserialize)]
        struct Body {
            code: String,
            error: String,
        }
        let base = &self.base;
        let told = serde_json::from_slice(body).ok().filter(|told: &Body| !told.code.is_empty());
        let Some(Body { code, error }) = told else {
            let shown = [location.unwrap_or_default(), said::line_of(body)].join(" ");
            let shown = shown.trim();
            let shown = if shown.is_empty() { String::new() } else { format!(" ({shown})") };
            let advice = said::of_a_front(status.as_u16());
            let who = said::NOT_THE_SERVER;
            let text = format!("{base} answered {status}{shown}{who}{advice}");
            return Refused { code: String::new(), text };
        };
        let (code, error) = (said::clean(&code, 100), said::clean(&error, said::MAX_CHARS));
        let text = match code.as_str() {
            "EINVALIDAUTH" if self.token.is_none() => {
                format!("{base} wants a token: set LITEFS_CLOUD_TOKEN or give --token")
            }
            "EINVALIDAUTH" => format!("{base} refuses the token: {error}"),
            "EBADCLUSTER" => format!("{error}: see --cluster"),
            "ENODB" => format!("{error}: \"litevfs-cloud list\" shows those there are"),
            "ENOTXID" | "ENOTIMESTAMP" => {
                format!("{error}: \"litevfs-cloud info\" shows how far back it goes")
            }
            "ENOTFOUND" => format!("{base} does not know this call: is it an older version?"),
            "EINTERNAL" => format!("{base}: {error}"),
            _ => error,
        };
        Refused { code, text }
    }
}

/// Trusts what the system or the environment names, and the certificates of a file.
fn tls(more: Option<&Path>) -> Done<ClientConfig> {
    let loaded = certificate::load(|name| std::env::var(name).ok());
    let roots = match more {
        // That may be all there is.
        Some(path) => with_file(loaded.unwrap_or_else(|_| RootCertStore::empty()), path)?,
        None => loaded.map_err(|error| format!("{error}, or give --ca FILE"))?,
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Verifier::new(roots, provider.signature_verification_algorithms);
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth())
}

fn with_file(mut roots: RootCertStore, path: &Path) -> Done<RootCertStore> {
    let bad = |error: &dyn std::fmt::Display| format!("--ca {}: {error}", path.display());
    let pem = std::fs::read(path).map_err(|error| bad(&error))?;
    let before = roots.len();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        roots.add(certificate.map_err(|error| bad(&error))?).map_err(|error| bad(&error))?;
    }
    if roots.len() == before {
        return Err(bad(&"there is no PEM certificate in it").into());
    }
    Ok(roots)
}

/// What to say of a certificate that does not count.
fn wrong(base: &str, error: &CertificateError) -> String {
    let (what, would_trust_help) = certificate::describe(error);
    let hint =
        if would_trust_help { ": give it, or the CA that signed it, with --ca FILE" } else { "" };
    format!("the certificate of {base} {what}{hint}")
}

/// The body of an answer, no more of it than so many bytes and a piece: who sends it may be anybody.
async fn read(mut answer: Response, max_len: usize) -> reqwest::Result<Vec<u8>> {
    let mut body = Vec::new();
    while body.len() < max_len
        && let Some(piece) = answer.chunk().await?
    {
        body.extend_from_slice(&piece);
    }
    Ok(body)
}
