//! What people of a legacy system are like, and how often.

use std::io;

use shared::domain::legacy::Source;

use super::Files;
use super::doc::Doc;
use crate::rng::Rng;

/// What is the matter with a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defect {
    /// Nothing: both rows name each other.
    Paired,
    /// One phone, no pointers.
    SamePhone,
    /// One e-mail address, spelled in different case; no pointers.
    SameEmail,
    /// Only the user points.
    OnlyUserPoints,
    /// Only the customer points.
    OnlyCustomerPoints,
    /// The user points at nobody.
    UserDangles,
    /// The customer points at nobody.
    CustomerDangles,
    /// Two users point at one customer.
    TwoUsers,
    /// Two customers point at one user.
    TwoCustomers,
    /// Two customers and two users on one phone.
    Family,
    /// A user and no customer.
    LoneUser,
    /// A customer and no user.
    LoneCustomer,
    /// A client who has not paid.
    Lead,
    /// A client who has.
    PaidClient,
    /// Two users with one number.
    SameNumber,
    /// Two clients with one reference.
    SameReference,
    /// Two users with one login.
    SameLogin,
    /// A phone number that is none.
    BadPhone,
    /// A login that nobody reads.
    Placeholder,
    /// A password that anybody reads.
    Plaintext,
    /// A delivery boy who carries a customer's fields.
    Staff,
    /// A line that is no row.
    BadLine,
    /// A client and a customer of one address.
    SharedAddress,
    /// A user without a usable address.
    NoAddress,
    /// A status and an address that are none.
    OddCustomer,
    /// A number and a reference in no form.
    BadNumbers,
    /// A user who is out, or may be.
    Disabled,
    /// Pointers by the ids of `MongoDB`.
    OtherIds,
    /// Two rows with one id.
    SameId,
    /// A time that is none.
    NoTime,
}

/// Of how many people out of the sum each is true.
pub const PROPORTIONS: [(Defect, u64); 30] = [
    (Defect::Paired, 18),
    (Defect::SamePhone, 4),
    (Defect::SameEmail, 3),
    (Defect::OnlyUserPoints, 3),
    (Defect::OnlyCustomerPoints, 3),
    (Defect::UserDangles, 1),
    (Defect::CustomerDangles, 1),
    (Defect::TwoUsers, 1),
    (Defect::TwoCustomers, 1),
    (Defect::Family, 2),
    (Defect::LoneUser, 2),
    (Defect::LoneCustomer, 2),
    (Defect::Lead, 2),
    (Defect::PaidClient, 2),
    (Defect::SameNumber, 1),
    (Defect::SameReference, 1),
    (Defect::SameLogin, 1),
    (Defect::BadPhone, 1),
    (Defect::Placeholder, 1),
    (Defect::Plaintext, 1),
    (Defect::Staff, 1),
    (Defect::BadLine, 1),
    (Defect::SharedAddress, 1),
    (Defect::NoAddress, 1),
    (Defect::OddCustomer, 1),
    (Defect::BadNumbers, 1),
    (Defect::Disabled, 1),
    (Defect::OtherIds, 1),
    (Defect::SameId, 1),
    (Defect::NoTime, 1),
];

/// Hashes of `correct horse`, as bcrypt for Python and PHP makes them.
const HASHES: [&str; 2] = [
    "$2b$04$GbPe7W.VNQ6LePxuLmxUHeqbzk/1DWt4VHIYEOaTUCtX5hxiZhM2q",
    "$2y$04$GbPe7W.VNQ6LePxuLmxUHeqbzk/1DWt4VHIYEOaTUCtX5hxiZhM2q",
];

const FIRST: [&str; 8] = ["Ana", "Björn", "Chitra", "Devi", "Esra", "Farid", "Gita", "Hari"];
const LAST: [&str; 6] = ["Rao", "Nair", "Ångström", "Khan", "Das", "Ruiz"];

/// When the oldest was made: 2022-01-01T00:00:00Z. A minute lies between two people, give or take a
/// day, so that the files are not in order.
const BEGIN: i64 = 1_640_995_200;
const DAY: u64 = 86_400;

/// What is the matter with person `n`: as often as [`PROPORTIONS`] says, and not in a row.
pub(super) fn defect_of(n: u64) -> Defect {
    let total: u64 = PROPORTIONS.iter().map(|(_, share)| share).sum();
    let mut place = n * 29 % total;
    for (defect, share) in PROPORTIONS {
        if place < share {
            return defect;
        }
        place -= share;
    }
    Defect::Paired
}

/// A row and what others call it.
struct Made {
    doc: Doc,
    id: String,
    object_id: String,
}

/// One person.
pub(super) struct Case<'a> {
    n: u64,
    at: i64,
    rows: u64,
    rng: Rng,
    files: &'a mut Files,
}

impl<'a> Case<'a> {
    pub(super) fn new(n: u64, seed: u64, files: &'a mut Files) -> Self {
        let mut rng = Rng::numbered(seed, n);
        let at = BEGIN + i64::try_from(n * 60 + rng.below(DAY)).unwrap();
        Self { n, at, rows: 0, rng, files }
    }

    /// Writes their rows.
    pub(super) fn make(mut self) -> io::Result<()> {
        match defect_of(self.n) {
            Defect::Paired => self.pair(true, true, |doc| doc, |doc| doc),
            Defect::SamePhone => self.pair(false, false, |doc| doc, |doc| doc.without("email")),
            Defect::SameEmail => self.same_email(),
            Defect::OnlyUserPoints => self.pair(true, false, |doc| doc, |doc| doc),
            Defect::OnlyCustomerPoints => self.pair(false, true, |doc| doc, |doc| doc),
            Defect::UserDangles => {
                let nobody = self.rng.uuid();
                self.pair(false, false, |doc| doc.text("customer_v2_id", &nobody), |doc| doc)
            }
            Defect::CustomerDangles => self.pair(false, false, |doc| doc, |doc| doc.text("user_id", "gone")),
            Defect::TwoUsers => self.two_users(),
            Defect::TwoCustomers => self.two_customers(),
            Defect::Family => self.family(),
            Defect::LoneUser => self.user().and_write(&mut self, Source::Users),
            Defect::LoneCustomer => self.customer().and_write(&mut self, Source::CustomersV2),
            Defect::Lead => self.client().and_write(&mut self, Source::Clients),
            Defect::PaidClient => self.paid_client(self.n + 1),
            Defect::SameNumber => {
                self.pair(true, true, |doc| doc, |doc| doc)?;
                self.files.expect("number-taken");
                let (user, number) = (self.user(), self.number());
                self.row(Source::Users, &user.doc.text("customerId", &number))
            }
            Defect::SameReference => {
                self.files.expect("number-taken");
                self.paid_client(self.n + 1)?;
                self.paid_client(self.n + 1)
            }
            Defect::SameLogin => self.same_login(),
            _ => self.make_odd(),
        }
    }

    /// Defects of a single row.
    fn make_odd(&mut self) -> io::Result<()> {
        match defect_of(self.n) {
            Defect::BadPhone => {
                self.expect(&["unread", "unread"]);
                self.pair(true, true, |doc| doc.text("phone", "ask the guard"), |doc| doc.text("phone", "12"))
            }
            Defect::Placeholder => {
                let login = format!("customer-{}@earlybird.local", self.rng.uuid());
                self.pair(false, true, |doc| doc.text("email", &login), |doc| doc)
            }
            Defect::Plaintext => {
                self.expect(&["password"]);
                self.pair(true, true, |doc| doc.text("password", "mango-lassi-1"), |doc| doc)
            }
            Defect::Staff => {
                self.expect(&["not-customer"]);
                let role = *self.rng.pick(&["delivery_boy", "admin"]);
                self.pair(true, false, |doc| doc.text("role", role), |doc| doc)
            }
            Defect::BadLine => self.bad_line(),
            Defect::SharedAddress => {
                self.expect(&["shared"]);
                let (customer, client) = (self.customer(), self.client());
                let shared = self.address("both");
                self.row(Source::CustomersV2, &customer.doc.text("email", &shared))?;
                self.row(Source::Clients, &client.doc.text("email", &shared.to_uppercase()))
            }
            Defect::NoAddress if self.rng.below(2) == 0 => {
                self.expect(&["no-login"]);
                self.pair(true, true, |doc| doc.without("email"), |doc| doc)
            }
            Defect::NoAddress => {
                self.expect(&["bad-login"]);
                self.pair(true, true, |doc| doc.text("email", "not given"), |doc| doc)
            }
            Defect::OddCustomer => {
                self.expect(&["status", "unread"]);
                self.pair(true, true, |doc| doc, |doc| doc.text("status", "vip").text("email", "n/a"))
            }
            Defect::BadNumbers => {
                self.expect(&["bad-number", "bad-number"]);
                let client = self.client();
                self.row(Source::Clients, &client.doc.text("customer_reference", "CVP/7"))?;
                self.pair(true, true, |doc| doc.text("customerId", "24"), |doc| doc)
            }
            Defect::Disabled if self.rng.below(2) == 0 => {
                self.pair(true, true, |doc| doc.raw("is_active", "false".into()), |doc| doc)
            }
            Defect::Disabled => {
                self.expect(&["flag"]);
                self.pair(true, true, |doc| doc.text("is_active", "on leave"), |doc| doc)
            }
            Defect::OtherIds => {
                let (user, customer) = (self.user(), self.customer());
                self.row(Source::Users, &user.doc.text("customer_v2_id", &customer.object_id))?;
                self.row(Source::CustomersV2, &customer.doc.text("user_id", &user.object_id))
            }
            Defect::SameId => {
                let (first, second) = (self.user(), self.user());
                let id = self.rng.uuid();
                self.row(Source::Users, &first.doc.text("id", &id))?;
                let line = second.doc.text("id", &id).line();
                self.files.refused(Source::Users, line.as_bytes(), "id-taken")
            }
            _ => {
                self.expect(&["time"]);
                self.pair(true, true, |doc| doc, |doc| doc.text("created_at", "yesterday"))
            }
        }
    }

    fn same_email(&mut self) -> io::Result<()> {
        let (spelled, other) = (self.address("Same").to_uppercase(), self.address("same"));
        let user = |doc: Doc| doc.without("phone").text("email", &spelled);
        self.pair(false, false, user, |doc| doc.without("phone").text("email", &other))
    }

    fn two_users(&mut self) -> io::Result<()> {
        let (one, two, customer) = (self.user(), self.user(), self.customer());
        self.row(Source::Users, &one.doc.text("customer_v2_id", &customer.id))?;
        self.row(Source::Users, &two.doc.text("customer_v2_id", &customer.id))?;
        self.row(Source::CustomersV2, &customer.doc.text("user_id", &one.id))
    }

    fn two_customers(&mut self) -> io::Result<()> {
        let (user, one, two) = (self.user(), self.customer(), self.customer());
        self.row(Source::Users, &user.doc.text("customer_v2_id", &one.id))?;
        self.row(Source::CustomersV2, &one.doc.text("user_id", &user.id))?;
        self.row(Source::CustomersV2, &two.doc.text("user_id", &user.id))
    }

    fn family(&mut self) -> io::Result<()> {
        let phone = self.phone(9);
        for _ in 0..2 {
            let (user, customer) = (self.user(), self.customer());
            self.row(Source::Users, &user.doc.text("phone", &phone))?;
            self.row(Source::CustomersV2, &customer.doc.text("phone", &phone))?;
        }
        Ok(())
    }

    fn same_login(&mut self) -> io::Result<()> {
        self.expect(&["login-taken"]);
        let (one, two, login) = (self.user(), self.user(), self.address("twice"));
        self.row(Source::Users, &two.doc.text("email", &login.to_uppercase()))?;
        self.row(Source::Users, &one.doc.text("email", &login))
    }

    fn paid_client(&mut self, sequence: u64) -> io::Result<()> {
        let client = self.client();
        self.row(Source::Clients, &client.doc.text("customer_reference", &format!("PLE-CVP-2024-{sequence:06}")))
    }

    fn bad_line(&mut self) -> io::Result<()> {
        let source = *self.rng.pick(&Source::ALL);
        let user = self.user();
        match self.rng.below(5) {
            0 => self.files.refused(source, b"{\"_id\": {\"$oid\": \"62d", "not-json"),
            1 => self.files.refused(source, b"{\"name\": \"\xff\xfe\"}", "not-utf8"),
            2 => self.files.refused(source, b"\"a text\"", "not-object"),
            3 => self.files.refused(source, b"{\"name\": \"Nobody\"}", "no-id"),
            _ => self.files.refused(Source::Users, user.doc.text("role", "vip").line().as_bytes(), "no-role"),
        }
    }

    /// A user and a customer who share phone and address, each pointing at the other if so asked.
    fn pair(
        &mut self,
        user_points: bool,
        customer_points: bool,
        change_user: impl FnOnce(Doc) -> Doc,
        change_customer: impl FnOnce(Doc) -> Doc,
    ) -> io::Result<()> {
        let (mut user, mut customer) = (self.user(), self.customer());
        let (phone, email) = (self.phone(9), self.address("pair"));
        // Not everybody was given a number.
        if !self.n.is_multiple_of(5) || matches!(defect_of(self.n), Defect::SameNumber | Defect::Staff) {
            user.doc = user.doc.text("customerId", &self.number());
        }
        user.doc = user.doc.text("phone", &phone).text("email", &email);
        customer.doc = customer.doc.number("phone", &phone).text("email", &email);
        if user_points {
            user.doc = user.doc.text("customer_v2_id", &customer.id);
        }
        if customer_points {
            customer.doc = customer.doc.text("user_id", &user.id);
        }
        self.row(Source::Users, &change_user(user.doc))?;
        self.row(Source::CustomersV2, &change_customer(customer.doc))
    }

    fn user(&mut self) -> Made {
        let (at, object_id) = self.next_row();
        let id = match self.rng.below(3) {
            0 => object_id.clone(),
            1 => format!("user-{}-{}", self.n, self.rows),
            _ => self.rng.uuid(),
        };
        let (email, phone, name) = (self.address("user"), self.phone(self.rows), self.name());
        let hash = *self.rng.pick(&HASHES);
        let field = *self.rng.pick(&["password", "password_hash"]);
        let doc = self.doc(&object_id, "id", &id);
        let doc = doc.text("email", &email).text("phone", &phone).text("name", &name).text("role", "customer");
        let doc = doc.text(field, hash).raw("is_active", "true".into()).date("createdAt", at);
        Made { doc, id, object_id }
    }

    fn customer(&mut self) -> Made {
        let (at, object_id) = self.next_row();
        let id = match self.rng.below(3) {
            0 => object_id.clone(),
            1 => format!("cust-{:08x}{}", self.n, self.rows),
            _ => self.rng.uuid(),
        };
        let (phone, name) = (self.phone(self.rows), self.name());
        let address = format!("{} Main Street", 1 + self.rng.below(99));
        let area = *self.rng.pick(&["North", "South", "Harbour"]);
        let status = *self.rng.pick(&["active", "active", "active", "trial", "inactive"]);
        let doc = self.doc(&object_id, "id", &id).text("name", &name).number("phone", &phone);
        let doc = doc.text("address", &address).text("area", area).text("status", status).date("created_at", at);
        Made { doc, id, object_id }
    }

    fn client(&mut self) -> Made {
        let (at, object_id) = self.next_row();
        let id = self.rng.uuid();
        let (email, phone, name) = (self.address("client"), self.phone(self.rows), self.name());
        let doc = self.doc(&object_id, "client_id", &id).text("email", &email).text("full_name", &name);
        Made { doc: doc.text("phone", &phone).date("created_at", at), id, object_id }
    }

    /// When the next row of this person was made, and its `ObjectId`.
    fn next_row(&mut self) -> (i64, String) {
        self.rows += 1;
        let at = self.at + i64::try_from(self.rows).unwrap();
        (at, format!("{at:08x}{:08x}{:08x}", self.n, self.rows))
    }

    fn doc(&mut self, object_id: &str, field: &'static str, id: &str) -> Doc {
        let doc = Doc::new(self.rng.below(2) == 0).object_id(object_id);
        if id == object_id { doc } else { doc.text(field, id) }
    }

    fn number(&self) -> String {
        format!("PL{}", self.n + 1)
    }

    fn address(&self, name: &str) -> String {
        format!("{name}-{}-{}@example.com", self.n, self.rows)
    }

    /// A number of ten digits, of this person alone.
    fn phone(&self, of: u64) -> String {
        format!("9{:08}{}", self.n % 100_000_000, of % 10)
    }

    fn name(&mut self) -> String {
        format!("{} {}", self.rng.pick(&FIRST), self.rng.pick(&LAST))
    }

    fn expect(&mut self, codes: &[&'static str]) {
        for code in codes {
            self.files.expect(code);
        }
    }

    fn row(&mut self, source: Source, doc: &Doc) -> io::Result<()> {
        self.files.row(source, &doc.line())
    }
}

impl Made {
    fn and_write(self, case: &mut Case<'_>, source: Source) -> io::Result<()> {
        case.row(source, &self.doc)
    }
}
