//! Get-or-create: which customer a request means, and what the request adds to it.

use thiserror::Error;

use crate::clock::Time;
use crate::domain::customer::{Contact, Customer, Metadata, Origin, Status};
use crate::domain::onboarding::Login;
use crate::domain::user::{Role, User};
use crate::ids::{CustomerId, ExternalId, UserId};

/// What the caller asks for.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The caller's id for the customer.
    pub id: Option<ExternalId>,
    /// Who they are and how they are reached.
    pub contact: Contact,
    /// Where a new customer stands; `active` also ends a lead.
    pub status: Option<Status>,
    /// The caller's mark of the person behind it.
    pub fingerprint: Option<String>,
    /// Free data of a new customer.
    pub metadata: Metadata,
    /// The Stripe customer of one who has none.
    pub stripe_id: Option<String>,
    /// The login to link.
    pub user_id: Option<UserId>,
}

/// What was read, strongly consistently, before deciding.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The customer with the requested id.
    pub by_id: Option<Customer>,
    /// The living customers with the requested e-mail address, oldest first.
    pub by_email: Vec<Customer>,
    /// The account that signs in with the customer's e-mail address.
    pub email_holder: Option<User>,
    /// The account that the request names.
    pub named_user: Option<User>,
}

/// What is to be done.
#[derive(Clone, Debug)]
pub enum Plan {
    /// The customer is there and the request adds nothing.
    Unchanged(Box<Customer>),
    /// The customer is there and takes something from the request.
    Change {
        /// The record as it was.
        before: Box<Customer>,
        /// The record as it is to be.
        after: Box<Customer>,
        /// The login it gets, if it had none and is to have one.
        login: Option<Login>,
    },
    /// Nobody matches: a new customer, still without its reference, with this login.
    Create {
        /// The new record.
        customer: Box<Customer>,
        /// Its login.
        login: Login,
    },
}

/// Why the request cannot be met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The named user does not exist.
    #[error("the user does not exist")]
    UserNotFound,
    /// The named user, or the customer, is linked to another.
    #[error("the user or the customer is linked to another")]
    AlreadyLinked,
    /// The named user is no customer's account.
    #[error("the user has another role")]
    NotACustomer,
}

/// The values that a plan for a new customer needs from outside.
#[derive(Clone, Copy, Debug)]
pub struct New<'a> {
    /// The id of a new customer.
    pub customer_id: CustomerId,
    /// The one reading of the clock.
    pub now: Time,
    /// The domain of logins that are no real addresses.
    pub placeholder_domain: &'a str,
}

/// Decides.
///
/// The id names a customer before the e-mail address does. A new id with a known address is
/// claimed by the oldest customer of that address that has no id; without an id the address means
/// its oldest living customer.
pub fn plan(request: &Request, found: Found, new: New<'_>) -> Result<Plan, Refusal> {
    let login = named_login(request, found.named_user.as_ref())?;
    match existing(request, &found) {
        Some(customer) => change(request, customer, login, found.email_holder, new),
        None => create(request, login, found.email_holder, new),
    }
}

fn existing(request: &Request, found: &Found) -> Option<Customer> {
    let by_email = match request.id {
        Some(_) => found.by_email.iter().find(|customer| customer.id.is_none()),
        None => found.by_email.first(),
    };
    found.by_id.as_ref().or(by_email).cloned()
}

fn named_login(request: &Request, named: Option<&User>) -> Result<Option<User>, Refusal> {
    match (request.user_id, named) {
        (None, _) => Ok(None),
        (Some(_), None) => Err(Refusal::UserNotFound),
        (Some(_), Some(user)) if user.role != Role::Customer => Err(Refusal::NotACustomer),
        (Some(_), Some(user)) => Ok(Some(user.clone())),
    }
}

fn change(
    request: &Request,
    before: Customer,
    named: Option<User>,
    email_holder: Option<User>,
    new: New<'_>,
) -> Result<Plan, Refusal> {
    let mut after = before.clone();
    after.id = after.id.take().or_else(|| request.id.clone());
    after.contact.fill_blanks(&request.contact);
    after.stripe_id = after.stripe_id.take().or_else(|| request.stripe_id.clone());
    if before.is_lead() && request.status == Some(Status::Active) {
        after.status = Status::Active;
    }
    // A lead has no login, not even one that the request names.
    let login = match named {
        _ if after.is_lead() => None,
        Some(user) => link_named(&before, user)?,
        None if before.is_lead() => Some(Login::choose(&after, email_holder, new.placeholder_domain)),
        None => None,
    };
    if after == before && login.is_none() {
        return Ok(Plan::Unchanged(Box::new(before)));
    }
    after.updated_at = new.now;
    Ok(Plan::Change { before: Box::new(before), after: Box::new(after), login })
}

/// The named login for a customer: none when the two are linked already.
pub(super) fn link_named(customer: &Customer, user: User) -> Result<Option<Login>, Refusal> {
    match (customer.user_id, user.customer_v2_id) {
        (None, None) => Ok(Some(Login::Existing(Box::new(user)))),
        (Some(own), Some(back)) if own == user.user_id && back == customer.internal_id => Ok(None),
        // Half a link between these two is completed.
        (Some(own), None) if own == user.user_id => Ok(Some(Login::Existing(Box::new(user)))),
        (None, Some(back)) if back == customer.internal_id => Ok(Some(Login::Existing(Box::new(user)))),
        _ => Err(Refusal::AlreadyLinked),
    }
}

fn create(request: &Request, named: Option<User>, email_holder: Option<User>, new: New<'_>) -> Result<Plan, Refusal> {
    let status = request.status.unwrap_or(Status::Active);
    let mut customer = Customer::new(new.customer_id, status, Origin::Api, new.now);
    customer.id.clone_from(&request.id);
    customer.contact.clone_from(&request.contact);
    customer.fingerprint.clone_from(&request.fingerprint);
    customer.metadata.clone_from(&request.metadata);
    customer.stripe_id.clone_from(&request.stripe_id);
    let login = match named {
        Some(user) => link_named(&customer, user)?.ok_or(Refusal::AlreadyLinked)?,
        None => Login::choose(&customer, email_holder, new.placeholder_domain),
    };
    Ok(Plan::Create { customer: Box::new(customer), login })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contact::EmailAddress;
    use crate::text::Name;

    const NOW: Time = Time::from_unix_seconds(1_795_176_000);

    fn new() -> New<'static> {
        New { customer_id: CustomerId(NOW.new_id()), now: NOW, placeholder_domain: "earlybird.local" }
    }

    fn id(text: &str) -> Option<ExternalId> {
        ExternalId::parse(text, &crate::config::Settings::default()).ok()
    }

    fn customer(own_id: Option<&str>, status: Status, origin: Origin) -> Customer {
        let email = EmailAddress::parse("a@x.io").ok();
        let mut customer = Customer::new(CustomerId(NOW.new_id()), status, origin, NOW);
        customer.id = own_id.and_then(id);
        customer.contact.email = email;
        customer
    }

    fn by_email(customers: &[&Customer]) -> Found {
        Found { by_email: customers.iter().map(|c| (*c).clone()).collect(), ..Found::default() }
    }

    fn request(own_id: Option<&str>) -> Request {
        Request { id: own_id.and_then(id), ..Request::default() }
    }

    #[test]
    fn half_a_link_is_completed_by_naming_the_other_half() {
        let email = EmailAddress::parse("u@x.io").unwrap();
        let user = User::new(UserId(NOW.new_id()), email, Role::Customer, NOW);
        let mut pointing = customer(None, Status::Active, Origin::Import);
        pointing.user_id = Some(user.user_id);
        assert!(matches!(link_named(&pointing, user.clone()), Ok(Some(_))));
        let named = customer(None, Status::Active, Origin::Import);
        let back = User { customer_v2_id: Some(named.internal_id), ..user.clone() };
        assert!(matches!(link_named(&named, back), Ok(Some(_))));
        pointing.user_id = Some(UserId(NOW.new_id()));
        assert!(matches!(link_named(&pointing, user), Err(Refusal::AlreadyLinked)));
    }

    #[test]
    fn a_new_id_claims_the_oldest_customer_of_the_address_that_has_none() {
        let (first, second) =
            (customer(Some("a"), Status::Active, Origin::Api), customer(None, Status::Active, Origin::Api));
        let plan = plan(&request(Some("b")), by_email(&[&first, &second]), new()).unwrap();
        let Plan::Change { after, .. } = plan else { panic!("a claim changes the customer") };
        assert_eq!((after.internal_id, after.id), (second.internal_id, id("b")));
    }

    #[test]
    fn a_new_id_beside_a_claimed_one_is_a_customer_of_its_own() {
        let claimed = customer(Some("a"), Status::Active, Origin::Api);
        let plan = plan(&request(Some("b")), by_email(&[&claimed]), new()).unwrap();
        assert!(matches!(plan, Plan::Create { .. }));
    }

    #[test]
    fn without_an_id_the_address_means_its_oldest_customer_also_after_a_claim() {
        let claimed = customer(Some("a"), Status::Active, Origin::Api);
        let plan = plan(&request(None), by_email(&[&claimed, &customer(None, Status::Active, Origin::Api)]), new());
        assert!(matches!(plan.unwrap(), Plan::Unchanged(found) if found.internal_id == claimed.internal_id));
    }

    #[test]
    fn set_values_are_never_overwritten() {
        let mut before = customer(Some("a"), Status::Active, Origin::Api);
        before.contact.name = Name::parse("Ana").ok();
        let found = Found { by_id: Some(before), ..Found::default() };
        let mut request = request(Some("a"));
        request.contact.name = Name::parse("Bea").ok();
        assert!(matches!(plan(&request, found, new()).unwrap(), Plan::Unchanged(_)));
    }

    #[test]
    fn a_lead_stays_a_lead_unless_the_request_activates_it() {
        let lead = customer(None, Status::PendingPayment, Origin::Intake);
        let quiet = plan(&request(None), by_email(&[&lead]), new()).unwrap();
        assert!(matches!(quiet, Plan::Unchanged(_)));
        let activating = Request { status: Some(Status::Active), ..request(None) };
        let Plan::Change { after, login, .. } = plan(&activating, by_email(&[&lead]), new()).unwrap() else {
            panic!("the lead is activated");
        };
        assert_eq!(after.status, Status::Active);
        assert!(matches!(login, Some(Login::New(_))));
    }

    #[test]
    fn a_login_goes_to_one_customer_only() {
        let mut user = User::new(UserId(NOW.new_id()), EmailAddress::parse("u@x.io").unwrap(), Role::Customer, NOW);
        let request = Request { user_id: Some(user.user_id), ..request(Some("a")) };
        assert_eq!(plan(&request, Found::default(), new()).unwrap_err(), Refusal::UserNotFound);
        user.customer_v2_id = Some(CustomerId(NOW.new_id()));
        let found = |user: &User| Found { named_user: Some(user.clone()), ..Found::default() };
        assert_eq!(plan(&request, found(&user), new()).unwrap_err(), Refusal::AlreadyLinked);
        user.role = Role::DeliveryBoy;
        assert_eq!(plan(&request, found(&user), new()).unwrap_err(), Refusal::NotACustomer);
    }

    #[test]
    fn a_whole_link_is_there_already_and_one_of_either_with_another_is_refused() {
        let email = EmailAddress::parse("u@x.io").unwrap();
        let mut user = User::new(UserId(NOW.new_id()), email, Role::Customer, NOW);
        let mut linked = customer(None, Status::Active, Origin::Api);
        (linked.user_id, user.customer_v2_id) = (Some(user.user_id), Some(linked.internal_id));
        assert_eq!(link_named(&linked, user.clone()), Ok(None));
        let elsewhere = User { customer_v2_id: Some(CustomerId(NOW.new_id())), ..user.clone() };
        assert_eq!(link_named(&linked, elsewhere), Err(Refusal::AlreadyLinked));
        linked.user_id = Some(UserId(NOW.new_id()));
        assert_eq!(link_named(&linked, user), Err(Refusal::AlreadyLinked));
    }
}
