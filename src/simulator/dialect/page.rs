//! Answers that no provider wrote: a gateway's, a login page, a redirect.

use super::ErrorReply;
use crate::simulator::kind::Kind;

/// The page of a gateway that cannot reach what is behind it.
const GATEWAY: &str = "<html>\r\n\
<head><title>503 Service Temporarily Unavailable</title></head>\r\n\
<body>\r\n\
<center><h1>503 Service Temporarily Unavailable</h1></center>\r\n\
<hr><center>nginx</center>\r\n\
</body>\r\n\
</html>\r\n";

/// The page of a network that wants its visitors to sign in first.
const LOGIN: &str = "<!DOCTYPE html>\n\
<html><head><title>Sign in</title></head>\n\
<body><h1>Welcome to the guest network</h1>\n\
<form method=\"post\" action=\"/login\"><input name=\"user\"><input type=\"submit\"></form>\n\
</body></html>\n";

const MOVED: &str = "<html>\r\n\
<head><title>307 Temporary Redirect</title></head>\r\n\
<body>\r\n\
<center><h1>307 Temporary Redirect</h1></center>\r\n\
<hr><center>nginx</center>\r\n\
</body>\r\n\
</html>\r\n";

/// Where the redirect leads: a name that no resolver knows, so that who follows it fails otherwise.
const ELSEWHERE: &str = "http://elsewhere.invalid/v1/messages";

/// The page that a kind of fate shows; `None` for kinds that show none.
pub(super) fn of(kind: Kind) -> Option<ErrorReply> {
    match kind {
        Kind::WrongType => Some(page(200, LOGIN)),
        Kind::Redirect => Some(page(307, MOVED).with("location", ELSEWHERE)),
        Kind::Ok
        | Kind::Slow
        | Kind::Overloaded
        | Kind::StreamOverloaded
        | Kind::RateLimited
        | Kind::QuotaExhausted
        | Kind::Billing
        | Kind::Auth
        | Kind::Unavailable
        | Kind::ServerError
        | Kind::Reset
        | Kind::StreamReset
        | Kind::Drip
        | Kind::HalfOpen
        | Kind::Huge => None,
    }
}

/// An outage as the gateway in front of the provider tells it.
pub(super) fn gateway() -> ErrorReply {
    page(503, GATEWAY)
}

fn page(code: u16, body: &str) -> ErrorReply {
    ErrorReply { code, content_type: "text/html", headers: Vec::new(), body: body.to_owned() }
}
