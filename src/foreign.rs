//! Errors of crates that this one is built on anyway, so that nobody need teach them. Others are taught with
//! [`Builder::user_errors`](crate::Builder::user_errors).

use std::error::Error;

use crate::exception::UserError;

/// What ureq makes of an answer with an error status, unless it was told not to.
pub(crate) fn user_error(error: &(dyn Error + 'static)) -> Option<UserError> {
    match error.downcast_ref()? {
        ureq::Error::StatusCode(status) => UserError::from_status("ureq::Error", error.to_string(), *status),
        _ => None,
    }
}
