//! The verbs' side of the HTTP API: where the server is, how to ask it, and what went wrong in words
//! that say what to do.

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Certificate, Method, RequestBuilder, Response, StatusCode, redirect};
use serde::Deserialize;
use serde_json::Value;

/// How a verb ends.
pub(super) type Done<T = ()> = Result<T, Box<dyn Error>>;

/// The longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest wait for the answer to a call that is not long by nature.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// The longest texts of an error, and other answers, to read.
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
    cluster: Option<String>,
}

impl Client {
    /// The client for those arguments; nothing is sent yet.
    pub(super) fn new(args: &ServerArgs) -> Done<Client> {
        // None is there by default, so that there is only one in the program.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let base = args.host.trim_end_matches('/').to_owned();
        let url = reqwest::Url::parse(&base).ok().filter(|url| url.has_host());
        let is_tls = match url.as_ref().map(reqwest::Url::scheme) {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(format!("--host: {base:?} is no URL: give http://HOST:PORT").into()),
        };
        let mut http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(redirect::Policy::none())
            .user_agent(concat!("litevfs-cloud/", env!("CARGO_PKG_VERSION")));
        if !is_tls {
            // Not even looked for: a machine without any can still speak plain HTTP.
            http = http.tls_certs_only([]);
        } else if let Some(path) = &args.ca {
            let bad = |error: &dyn std::fmt::Display| format!("--ca {}: {error}", path.display());
            let pem = std::fs::read(path).map_err(|error| bad(&error))?;
            let certificates = Certificate::from_pem_bundle(&pem).map_err(|error| bad(&error))?;
            if certificates.is_empty() {
                return Err(bad(&"there is no PEM certificate in it").into());
            }
            http = http.tls_certs_merge(certificates);
        }
        let http = http.build().map_err(|error| {
            let cause = root_cause(&error);
            format!("no certificate authority to check {base} with ({cause}): give --ca FILE")
        })?;
        let token = args.token.as_deref().filter(|token| !token.is_empty()).map(|token| {
            let mut value = HeaderValue::from_str(token.trim())
                .map_err(|_| "the token has characters that no token has: copy it again")?;
            value.set_sensitive(true);
            Ok::<_, &str>(value)
        });
        let cluster = args.cluster.clone().filter(|cluster| !cluster.is_empty());
        Ok(Client { http, base, token: token.transpose()?, cluster })
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
            request = request.query(&[("cluster", cluster)]);
        }
        match &self.token {
            Some(token) => request.header(AUTHORIZATION, token.clone()),
            None => request,
        }
    }

    /// Makes a call and returns its answer, which is a success.
    pub(super) async fn send(&self, request: RequestBuilder) -> Done<Response> {
        let answer = request.send().await.map_err(|error| self.broken(&error))?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let status = answer.status();
        let body = read(answer, MAX_ERROR_LEN).await.unwrap_or_default();
        Err(self.refused(status, &body).into())
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
        match causes(error).find_map(tls_error) {
            None => {}
            Some(rustls::Error::InvalidMessage(_)) => {
                return format!("{base} does not speak TLS: give http:// instead of https://");
            }
            Some(rustls::Error::InvalidCertificate(_)) => {
                let hint = "give the authority that issued it with --ca FILE";
                return format!("the certificate of {base} is not trusted ({cause}): {hint}");
            }
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

    fn refused(&self, status: StatusCode, body: &[u8]) -> Refused {
        #[derive(Deserialize)]
        struct Body {
            code: String,
            error: String,
        }
        let base = &self.base;
        let Ok(Body { code, error }) = serde_json::from_slice(body) else {
            let text = format!("{base} answered {status}: is --host a litevfs-cloud?");
            return Refused { code: String::new(), text };
        };
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

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// The innermost cause: what is around it says only that a request failed.
fn root_cause(error: &(dyn Error + 'static)) -> String {
    causes(error).last().map(ToString::to_string).unwrap_or_default()
}

/// An error of TLS, or an I/O error made of one, which [`Error::source`] does not show.
fn tls_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    error.downcast_ref().or_else(|| inner.and_then(|inner| tls_error(inner)))
}
