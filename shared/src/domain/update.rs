//! Changing a customer: what an administrator's patch makes of the record and of its login.

use thiserror::Error;

use crate::clock::Time;
use crate::contact::{EmailAddress, Phone};
use crate::domain::customer::{Contact, Customer, Metadata, Origin, Status};
use crate::domain::following::{move_details, move_login};
use crate::domain::get_or_create::{self, link_named};
use crate::domain::linking::{self, Pair, overrule};
use crate::domain::matching::Review;
use crate::domain::onboarding::{Login, customer_placeholder, user_placeholder};
use crate::domain::user::{Role, User};
use crate::ids::{ExternalId, UserId};
use crate::text::{Address, Area, Name};

/// What a patch says about one value: absent, null, or a new one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Patch<T> {
    /// It stays.
    #[default]
    Keep,
    /// It goes.
    Clear,
    /// It becomes this.
    Set(T),
}

impl<T> Patch<T> {
    /// The new value, if there is one.
    #[must_use]
    pub fn value(&self) -> Option<&T> {
        match self {
            Self::Set(value) => Some(value),
            Self::Keep | Self::Clear => None,
        }
    }

    /// The same of another type.
    #[must_use]
    pub fn map<U>(self, convert: impl FnOnce(T) -> U) -> Patch<U> {
        match self {
            Self::Keep => Patch::Keep,
            Self::Clear => Patch::Clear,
            Self::Set(value) => Patch::Set(convert(value)),
        }
    }

    /// Makes `to` what it is to be.
    pub fn apply(&self, to: &mut Option<T>)
    where
        T: Clone,
    {
        match self {
            Self::Keep => {}
            Self::Clear => *to = None,
            Self::Set(value) => *to = Some(value.clone()),
        }
    }
}

/// What is to change.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The caller's id.
    pub id: Patch<ExternalId>,
    /// Who it is.
    pub name: Patch<Name>,
    /// Where e-mail reaches it.
    pub email: Patch<EmailAddress>,
    /// Its phone.
    pub phone: Patch<Phone>,
    /// Where it lives.
    pub address: Patch<Address>,
    /// Its delivery area.
    pub area: Patch<Area>,
    /// Where it stands.
    pub status: Option<Status>,
    /// The caller's mark of the person behind it.
    pub fingerprint: Patch<String>,
    /// Keys to set, and with null to delete; `Clear` deletes all.
    pub metadata: Patch<Metadata>,
    /// Its Stripe customer.
    pub stripe_id: Patch<String>,
    /// The login to link; `Clear` unlinks.
    pub user_id: Patch<UserId>,
    /// Whether a pointer that nobody returns gives way to the link.
    pub overrule: bool,
}

/// What was read, strongly consistently, before deciding.
#[derive(Clone, Debug)]
pub struct Found {
    /// The customer.
    pub customer: Customer,
    /// The login that it points to.
    pub user: Option<User>,
    /// The login that the request names.
    pub named_user: Option<User>,
    /// The customer that the named login points to, if that matters and is another.
    pub named_customer: Option<Customer>,
    /// The account that signs in with the e-mail address that the customer is to have.
    pub email_holder: Option<User>,
}

/// What is to be done.
#[derive(Clone, Debug)]
pub enum Plan {
    /// Everything is so already.
    Unchanged(Box<Customer>),
    /// The records change.
    Change(Box<Change>),
}

/// The records as they are to be.
#[derive(Clone, Debug)]
pub struct Change {
    /// The customer as it was.
    pub before: Customer,
    /// The customer as it is to be, still without the login of `login`.
    pub after: Customer,
    /// Its login as it was and as it is to be, if that changes, too.
    pub user: Option<(User, User)>,
    /// The login it gets, if it had none and is to have one.
    pub login: Option<Login>,
}

/// Why the request cannot be met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The login cannot be linked.
    #[error(transparent)]
    Login(#[from] get_or_create::Refusal),
    /// One of the two is linked with somebody else.
    #[error(transparent)]
    Linked(#[from] linking::Refusal),
    /// A lead has no login; it has to be activated first, or with it.
    #[error("a lead has no login")]
    LeadHasNoLogin,
    /// A customer that came by intake and has a login cannot become a lead again.
    #[error("a customer with a login is no lead")]
    NoLeadAgain,
}

/// Decides.
pub fn plan(request: &Request, found: Found, placeholder_domain: &str, now: Time) -> Result<Plan, Refusal> {
    let Found { customer: before, user, named_user, named_customer, email_holder } = found;
    let mut after = before.clone();
    apply(request, &mut after);
    let pointed = user;
    let user_before = pointed.clone().filter(|user| Pair::of(&before, user).is_some());
    let mut user = user_before.clone();
    if request.user_id == Patch::Clear {
        unlink(&mut after, user.as_mut(), placeholder_domain);
    }
    let login = match &request.user_id {
        Patch::Set(_) if after.is_lead() => return Err(Refusal::LeadHasNoLogin),
        Patch::Set(_) => {
            let named = named_user.ok_or(get_or_create::Refusal::UserNotFound)?;
            if named.role != Role::Customer {
                return Err(get_or_create::Refusal::NotACustomer.into());
            }
            if request.overrule {
                overrule(&before, pointed.as_ref(), named, named_customer.as_ref())?
            } else {
                link_named(&before, named)?
            }
        }
        _ if before.is_lead() && !after.is_lead() => {
            Some(Login::choose(&after, email_holder.clone(), placeholder_domain))
        }
        _ => None,
    };
    let unpaid = matches!(after.status, Status::PendingPayment | Status::PaymentFailed);
    if after.origin == Origin::Intake && unpaid && (after.user_id.is_some() || login.is_some()) {
        return Err(Refusal::NoLeadAgain);
    }
    if let Some(user) = &mut user {
        move_login(&before, &after, user, email_holder.is_none(), placeholder_domain);
        move_details(&before, &after, user);
        if let Some(status) = request.status.filter(|_| after.user_id.is_some()) {
            set_status(user, status);
        }
    }
    let user = user_before.zip(user).filter(|(before, after)| before != after);
    if after == before && user.is_none() && login.is_none() {
        return Ok(Plan::Unchanged(Box::new(before)));
    }
    after.updated_at = now;
    let user = user.map(|(before, after)| (before, User { updated_at: now, ..after }));
    Ok(Plan::Change(Box::new(Change { before, after, user, login })))
}

fn apply(request: &Request, customer: &mut Customer) {
    let Contact { name, email, phone, address, area } = &mut customer.contact;
    let reached_before = (email.clone(), phone.clone());
    request.name.apply(name);
    request.email.apply(email);
    request.phone.apply(phone);
    request.address.apply(address);
    request.area.apply(area);
    let reached_differently = reached_before != (email.clone(), phone.clone());
    request.id.apply(&mut customer.id);
    request.fingerprint.apply(&mut customer.fingerprint);
    request.stripe_id.apply(&mut customer.stripe_id);
    customer.status = request.status.unwrap_or(customer.status);
    match &request.metadata {
        Patch::Keep => {}
        Patch::Clear => customer.metadata.clear(),
        Patch::Set(changes) => merge(&mut customer.metadata, changes),
    }
    if reached_differently {
        customer.review = customer.review.map(Review::reached_differently);
    }
}

fn merge(metadata: &mut Metadata, changes: &Metadata) {
    for (key, value) in changes {
        if value.is_null() {
            metadata.remove(key);
        } else {
            metadata.insert(key.clone(), value.clone());
        }
    }
}

/// Takes the two apart. Either may not stay alone, so both wait for the backfill, which finds each
/// the counterpart that fits, or makes one. A login named after the customer gives that name up to the
/// customer's next one.
fn unlink(customer: &mut Customer, user: Option<&mut User>, placeholder_domain: &str) {
    if customer.user_id.is_none() {
        return;
    }
    customer.user_id = None;
    customer.customer_number = None;
    customer.review = Some(Review::Due);
    if let Some(user) = user {
        user.customer_v2_id = None;
        user.review = Some(Review::Due);
        if user.email == customer_placeholder(customer.internal_id, placeholder_domain) {
            user.email = user_placeholder(user.user_id, placeholder_domain);
        }
    }
}

/// `inactive` shuts the login out and ends its sessions, any other status lets it in.
fn set_status(user: &mut User, status: Status) {
    let enabled = status != Status::Inactive;
    if user.enabled && !enabled {
        user.token_version += 1;
    }
    user.enabled = enabled;
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::ids::{CustomerId, CustomerNumber};

    const NOW: Time = Time::from_unix_seconds(1_795_176_000);
    const DOMAIN: &str = "earlybird.local";

    fn email(text: &str) -> EmailAddress {
        EmailAddress::parse(text).unwrap()
    }

    fn pair(login: &str) -> Found {
        let mut customer = Customer::new(CustomerId(NOW.new_id()), Status::Active, Origin::Api, NOW);
        let mut user = User::new(UserId(NOW.new_id()), email("u@x.io"), Role::Customer, NOW);
        user.email = EmailAddress::placeholder(login.split('@').next().unwrap(), login.split('@').nth(1).unwrap());
        user.customer_v2_id = Some(customer.internal_id);
        user.customer_number = Some(CustomerNumber::issue("PL", 1));
        customer.user_id = Some(user.user_id);
        customer.customer_number.clone_from(&user.customer_number);
        customer.contact.email = Some(email("old@x.io"));
        Found { customer, user: Some(user), named_user: None, named_customer: None, email_holder: None }
    }

    fn lead() -> Found {
        let mut customer = Customer::new(CustomerId(NOW.new_id()), Status::PendingPayment, Origin::Intake, NOW);
        customer.contact.email = Some(email("old@x.io"));
        Found { customer, user: None, named_user: None, named_customer: None, email_holder: None }
    }

    fn change(request: &Request, found: Found) -> Change {
        match plan(request, found, DOMAIN, NOW).unwrap() {
            Plan::Change(change) => *change,
            Plan::Unchanged(_) => panic!("something changes"),
        }
    }

    #[test]
    fn only_a_patch_that_sets_a_value_has_one() {
        assert_eq!(Patch::Set(1).value(), Some(&1));
        assert_eq!(Patch::<u8>::Clear.value().or(Patch::Keep.value()), None);
    }

    #[test]
    fn a_patch_of_another_type_says_the_same() {
        let changed = [Patch::Set(1), Patch::Clear, Patch::Keep].map(|patch| patch.map(|n| n + 1));
        assert_eq!(changed, [Patch::Set(2), Patch::Clear, Patch::Keep]);
    }

    #[test]
    fn the_logins_name_follows_as_long_as_it_is_the_customers() {
        let mut customer = Customer::new(CustomerId(NOW.new_id()), Status::Active, Origin::Api, NOW);
        let mut user = User::new(UserId(NOW.new_id()), email("a@x.io"), Role::Customer, NOW);
        (customer.user_id, user.customer_v2_id) = (Some(user.user_id), Some(customer.internal_id));
        let named = |name: &str| Request { name: Patch::Set(Name::parse(name).unwrap()), ..Request::default() };
        let found = |user: &User| Found {
            customer: customer.clone(),
            user: Some(user.clone()),
            named_user: None,
            named_customer: None,
            email_holder: None,
        };
        let Plan::Change(change) = plan(&named("Ana"), found(&user), DOMAIN, NOW).unwrap() else { panic!("a change") };
        assert_eq!(change.user.unwrap().1.name, Name::parse("Ana").ok());
        user.name = Name::parse("Of their own choice").ok();
        let Plan::Change(change) = plan(&named("Ana"), found(&user), DOMAIN, NOW).unwrap() else { panic!("a change") };
        assert!(change.user.is_none());
    }

    #[test]
    fn a_patch_that_says_nothing_new_changes_nothing() {
        let request = Request { email: Patch::Set(email("old@x.io")), ..Request::default() };
        assert!(matches!(plan(&request, pair("old@x.io"), DOMAIN, NOW).unwrap(), Plan::Unchanged(_)));
    }

    #[test]
    fn the_login_follows_a_new_address_only_from_the_old_one_or_a_placeholder_to_a_free_one() {
        let request = Request { email: Patch::Set(email("new@x.io")), ..Request::default() };
        for (login, moves) in [("old@x.io", true), ("customer-1@earlybird.local", true), ("own@x.io", false)] {
            let change = change(&request, pair(login));
            assert_eq!(change.user.map(|(_, user)| user.email == email("new@x.io")), moves.then_some(true), "{login}");
        }
        let holder = pair("new@x.io").user;
        assert!(change(&request, Found { email_holder: holder, ..pair("old@x.io") }).user.is_none());
        let cleared = Request { email: Patch::Clear, ..Request::default() };
        assert!(change(&cleared, pair("old@x.io")).user.is_none());
    }

    #[test]
    fn inactive_shuts_the_login_out_and_any_other_status_lets_it_in() {
        let status = |status| Request { status: Some(status), ..Request::default() };
        let (before, out) = change(&status(Status::Inactive), pair("old@x.io")).user.unwrap();
        assert_eq!((out.enabled, out.token_version), (false, before.token_version + 1));
        let found = Found { user: Some(out.clone()), ..pair("old@x.io") };
        let mut found = Found { customer: Customer { user_id: Some(out.user_id), ..found.customer }, ..found };
        found.customer.internal_id = out.customer_v2_id.unwrap();
        let (_, back) = change(&status(Status::Trial), found).user.unwrap();
        assert_eq!((back.enabled, back.token_version), (true, out.token_version));
        assert!(change(&status(Status::Trial), pair("old@x.io")).user.is_none(), "no session ends");
    }

    #[test]
    fn metadata_is_merged_key_by_key() {
        let mut found = pair("old@x.io");
        found.customer.metadata = json!({ "a": 1, "b": { "c": 2 } }).as_object().unwrap().clone();
        let changes = json!({ "a": null, "b": 3, "d": 4 }).as_object().unwrap().clone();
        let request = Request { metadata: Patch::Set(changes), ..Request::default() };
        assert_eq!(serde_json::Value::Object(change(&request, found).after.metadata), json!({ "b": 3, "d": 4 }));
    }

    #[test]
    fn an_unlinked_pair_waits_for_the_backfill_on_both_sides() {
        let request = Request { user_id: Patch::Clear, ..Request::default() };
        let change = change(&request, pair("old@x.io"));
        assert_eq!((change.after.user_id, change.after.review), (None, Some(Review::Due)));
        let (before, user) = change.user.unwrap();
        assert_eq!((user.customer_v2_id, user.review), (None, Some(Review::Due)));
        assert_eq!(user.customer_number, before.customer_number, "a number is never taken back");
        assert_eq!(user.email, before.email);
    }

    #[test]
    fn a_lead_gets_its_login_when_it_stops_being_one() {
        let request = Request { status: Some(Status::Trial), ..Request::default() };
        assert!(matches!(change(&request, lead()).login, Some(Login::New(_))));
        let named = Request { user_id: Patch::Set(UserId(NOW.new_id())), ..Request::default() };
        assert_eq!(plan(&named, lead(), DOMAIN, NOW).unwrap_err(), Refusal::LeadHasNoLogin);
    }

    #[test]
    fn a_customer_of_the_form_never_becomes_a_lead_again() {
        let mut found = pair("old@x.io");
        found.customer.origin = Origin::Intake;
        let request = Request { status: Some(Status::PendingPayment), ..Request::default() };
        assert_eq!(plan(&request, found, DOMAIN, NOW).unwrap_err(), Refusal::NoLeadAgain);
    }

    #[test]
    fn a_login_is_linked_to_one_customer_only() {
        let mut free = pair("free@x.io").user.unwrap();
        let request = Request { user_id: Patch::Set(free.user_id), ..Request::default() };
        let unlinked = || {
            let found = pair("old@x.io");
            Found { customer: Customer { user_id: None, ..found.customer }, user: None, ..found }
        };
        let found = |user: &User| Found { named_user: Some(user.clone()), ..unlinked() };
        assert_eq!(
            plan(&request, found(&free), DOMAIN, NOW).unwrap_err(),
            Refusal::Login(get_or_create::Refusal::AlreadyLinked)
        );
        free.customer_v2_id = None;
        assert!(matches!(change(&request, found(&free)).login, Some(Login::Existing(_))));
        assert_eq!(
            plan(&request, unlinked(), DOMAIN, NOW).unwrap_err(),
            Refusal::Login(get_or_create::Refusal::UserNotFound)
        );
        free.role = Role::DeliveryBoy;
        assert_eq!(
            plan(&request, found(&free), DOMAIN, NOW).unwrap_err(),
            Refusal::Login(get_or_create::Refusal::NotACustomer)
        );
    }

    #[test]
    fn a_login_named_after_the_customer_gives_that_name_up_with_the_link() {
        let request = Request { user_id: Patch::Clear, ..Request::default() };
        let (mut found, later) = (pair("old@x.io"), NOW.plus_seconds(1));
        let placeholder = customer_placeholder(found.customer.internal_id, DOMAIN);
        found.user = found.user.map(|user| User { email: placeholder, ..user });
        let Plan::Change(change) = plan(&request, found, DOMAIN, later).unwrap() else { panic!("a change") };
        let (_, user) = change.user.unwrap();
        assert_eq!((&user.email, user.updated_at), (&user_placeholder(user.user_id, DOMAIN), later));
    }

    #[test]
    fn whoever_is_reached_differently_is_ambiguous_no_more() {
        let review = |request: &Request| {
            let mut found = pair("old@x.io");
            found.customer.review = Some(Review::Ambiguous);
            change(request, found).after.review
        };
        let name = Patch::Set(Name::parse("Ana").unwrap());
        assert_eq!(review(&Request { name, ..Request::default() }), Some(Review::Ambiguous));
        let email = Patch::Set(email("new@x.io"));
        assert_eq!(review(&Request { email, ..Request::default() }), Some(Review::Due));
    }
}
