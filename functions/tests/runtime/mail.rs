//! A stand-in for SES (API v2) and SNS, to which the real SDKs send: it keeps what it was given
//! and answers as it was told.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Form, Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// How it answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mood {
    /// It takes everything.
    #[default]
    Accepting,
    /// It fails with a 500.
    Failing,
    /// It refuses for good, and names the recipient as SES does.
    Rejecting,
}

/// A message as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Letter {
    /// An e-mail address or a phone number.
    pub(crate) to: String,
    /// The plain text.
    pub(crate) text: String,
    /// Whether it was taken.
    pub(crate) accepted: bool,
}

impl Letter {
    /// The one temporary password in it, which stands alone on its line.
    pub(crate) fn password(&self) -> String {
        let in_alphabet = |c: char| c.is_ascii_alphanumeric() && !"IOl01".contains(c);
        let alone = |line: &&str| line.len() == 16 && line.chars().all(in_alphabet);
        let found: Vec<&str> = self.text.lines().filter(alone).collect();
        assert_eq!(found.len(), 1, "one password alone on its line: {}", self.text);
        found[0].to_owned()
    }

    /// The token of the one link to set a new password in it.
    pub(crate) fn reset_token(&self) -> String {
        let tokens = self.text.lines().filter_map(|line| line.split_once("/reset-password?token="));
        let found: Vec<&str> = tokens.map(|(_, token)| token).collect();
        assert_eq!(found.len(), 1, "one link to set a password: {}", self.text);
        found[0].to_owned()
    }
}

/// The stand-in; it ends with its owner.
pub(crate) struct Mail {
    url: String,
    post: Arc<Mutex<Post>>,
    _server: JoinSet<()>,
}

#[derive(Default)]
struct Post {
    mood: Mood,
    letters: Vec<Letter>,
}

impl Mail {
    /// A stand-in that takes everything.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("a bound address"));
        let post = Arc::<Mutex<Post>>::default();
        let routes = routes(Arc::clone(&post));
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, routes).await.expect("the stand-in serves") });
        Self { url, post, _server: server }
    }

    /// Where it is, as SES and as SNS.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Answers so from now on.
    pub(crate) fn be(&self, mood: Mood) {
        lock(&self.post).mood = mood;
    }

    /// What it took, oldest first.
    pub(crate) fn accepted(&self) -> Vec<Letter> {
        lock(&self.post).letters.iter().filter(|letter| letter.accepted).cloned().collect()
    }

    /// What it did not take, oldest first; the SDK tries more than once.
    pub(crate) fn refused(&self) -> Vec<Letter> {
        lock(&self.post).letters.iter().filter(|letter| !letter.accepted).cloned().collect()
    }
}

fn lock(post: &Mutex<Post>) -> MutexGuard<'_, Post> {
    post.lock().unwrap_or_else(PoisonError::into_inner)
}

fn routes(post_office: Arc<Mutex<Post>>) -> Router {
    Router::new().route("/v2/email/outbound-emails", post(email)).route("/", post(sms)).with_state(post_office)
}

async fn email(State(office): State<Arc<Mutex<Post>>>, Json(body): Json<Value>) -> Response {
    let text = |path: &str| body.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (to, content) = (text("/Destination/ToAddresses/0"), text("/Content/Simple/Body/Text/Data"));
    match arrive(&office, &to, content) {
        Mood::Accepting => Json(json!({ "MessageId": "0107018b-e5a1" })).into_response(),
        Mood::Failing => refusal(StatusCode::INTERNAL_SERVER_ERROR, "InternalServiceErrorException", "try again"),
        Mood::Rejecting => {
            let why = format!("Email address is not verified. The following identities failed the check: {to}");
            refusal(StatusCode::BAD_REQUEST, "MessageRejected", &why)
        }
    }
}

/// SNS speaks the query protocol: a form in, XML out.
async fn sms(State(office): State<Arc<Mutex<Post>>>, Form(form): Form<HashMap<String, String>>) -> Response {
    let field = |name: &str| form.get(name).cloned().unwrap_or_default();
    if field("Action") != "Publish" {
        return StatusCode::BAD_REQUEST.into_response();
    }
    let (status, body) = match arrive(&office, &field("PhoneNumber"), field("Message")) {
        Mood::Accepting => (StatusCode::OK, PUBLISHED),
        Mood::Failing | Mood::Rejecting => (StatusCode::INTERNAL_SERVER_ERROR, NOT_PUBLISHED),
    };
    (status, [(CONTENT_TYPE, "text/xml")], body).into_response()
}

const PUBLISHED: &str = r#"<PublishResponse xmlns="https://sns.amazonaws.com/doc/2010-03-31/">
<PublishResult><MessageId>567910cd-659e-55d4-8ccb-5aaf14679dc0</MessageId></PublishResult>
<ResponseMetadata><RequestId>d74b8436-ae13-5ab4-a9ff-ce54dfea72a0</RequestId></ResponseMetadata>
</PublishResponse>"#;

const NOT_PUBLISHED: &str = r#"<ErrorResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/">
<Error><Type>Receiver</Type><Code>InternalError</Code><Message>try again</Message></Error>
<RequestId>d74b8436-ae13-5ab4-a9ff-ce54dfea72a0</RequestId>
</ErrorResponse>"#;

fn arrive(office: &Mutex<Post>, to: &str, text: String) -> Mood {
    let mut office = lock(office);
    let mood = office.mood;
    office.letters.push(Letter { to: to.to_owned(), text, accepted: mood == Mood::Accepting });
    mood
}

fn refusal(status: StatusCode, kind: &'static str, message: &str) -> Response {
    (status, [("x-amzn-errortype", kind)], Json(json!({ "message": message }))).into_response()
}
