//! Lists in pages: the next ones behind an address, in the order of addresses.

use super::address::group_uri;
use super::group_record::{GroupRecord, NamedMember, SELECT_GROUP, group_record};
use super::uri_list_service::{SELECT_SERVICE, ServiceRecord, service_record};
use super::{EditError, Editor, Scope};
use crate::store::database::{optional_text, text};
use rusqlite::{Row, params};
use std::borrow::Cow;

/// A part of a list.
#[derive(Clone, Copy, Debug)]
pub struct Page<'a> {
    /// The last address of the page before; empty for the first page.
    pub after: &'a str,
    /// How many there may be.
    pub count: u32,
}

impl Editor {
    /// Groups, without their members.
    ///
    /// # Errors
    ///
    /// The database cannot be read.
    pub fn groups_page(&mut self, page: Page<'_>) -> Result<Vec<GroupRecord>, EditError> {
        let sql = format!("{SELECT_GROUP} WHERE uri > ?1 ORDER BY uri LIMIT ?2");
        self.page_of_all(&sql, page, group_record)
    }

    /// Services, without their consents.
    ///
    /// # Errors
    ///
    /// The database cannot be read.
    pub fn services_page(&mut self, page: Page<'_>) -> Result<Vec<ServiceRecord>, EditError> {
        let sql = format!("{SELECT_SERVICE} WHERE uri > ?1 ORDER BY uri LIMIT ?2");
        self.page_of_all(&sql, page, service_record)
    }

    /// Members of a group, with their display names.
    ///
    /// # Errors
    ///
    /// There is no such group.
    pub fn members_page(
        &mut self,
        uri: &str,
        page: Page<'_>,
    ) -> Result<Vec<NamedMember>, EditError> {
        let uri = group_uri(uri)?;
        let sql = "SELECT m.uri, n.display_name FROM member m
            LEFT JOIN member_name n ON n.group_id = m.group_id AND n.uri = m.uri
            WHERE m.group_id = ?1 AND m.uri > ?2 ORDER BY m.uri LIMIT ?3";
        self.read(
            || Scope::of([uri.as_str()]),
            |change| {
                let group = change.existing_group(&uri)?;
                change.sqlite(|transaction| {
                    let mut statement = transaction.prepare(sql)?;
                    let values = params![group.id, page.after, page.count];
                    let members = statement.query_map(values, |row| {
                        Ok((text(row, 0)?.into_owned(), optional_text(row, 1)?))
                    })?;
                    members.collect()
                })
            },
        )
    }

    /// Addresses that have consented to receive messages from a service.
    ///
    /// # Errors
    ///
    /// There is no such service.
    pub fn consents_page(
        &mut self,
        service: &str,
        page: Page<'_>,
    ) -> Result<Vec<String>, EditError> {
        let uri = group_uri(service)?;
        let sql =
            "SELECT uri FROM consent WHERE service_id = ?1 AND uri > ?2 ORDER BY uri LIMIT ?3";
        self.read(
            || Scope::of([uri.as_str()]),
            |change| {
                let service = change.existing_service(&uri)?;
                change.sqlite(|transaction| {
                    let mut statement = transaction.prepare(sql)?;
                    let values = params![service.id, page.after, page.count];
                    let consents =
                        statement.query_map(values, |row| text(row, 0).map(Cow::into_owned))?;
                    consents.collect()
                })
            },
        )
    }

    fn page_of_all<T>(
        &mut self,
        sql: &str,
        page: Page<'_>,
        record: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, EditError> {
        self.read(
            || Scope::All,
            |change| {
                change.sqlite(|transaction| {
                    let mut statement = transaction.prepare(sql)?;
                    statement
                        .query_map((page.after, page.count), record)?
                        .collect()
                })
            },
        )
    }
}
