"""Runs the checks of how the parts of a topology agree with each other, beyond the shape of each part.

Each check reports all its problems, and all checks run. A name in a part that could not be read (`Unread`) is not reported as
missing, because that part has its own problem.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.topology.document.checks import (
    acme,
    applications,
    call_defaults,
    databases,
    dialling,
    directory,
    enrolment,
    management,
    named_files,
    names,
    oauth,
    partners,
    pools,
    servers,
    stores,
    trunks,
)
from sipmesh.topology.document.checks.checked_document import CheckedDocument

if TYPE_CHECKING:
    from sipmesh.topology.document.model import Topology
    from sipmesh.topology.document.parse import Unread
    from sipmesh.topology.document.report import ProblemReport


def validate(topology: Topology, report: ProblemReport, unread: Unread, *, published: bool = False) -> None:
    """Run all checks; for a version that is *published*, without those that an earlier release did not have."""
    document = CheckedDocument(topology, report, unread)
    for check in CHECKS if published else (*CHECKS, *CHECKS_OF_DRAFTS):
        check(document)


CHECKS = (
    names.own_names_are_unique,
    names.domains_name_no_server,
    names.own_files_are_of_one_server,
    names.lists_name_nothing_twice,
    names.names_have_one_owner,
    names.nobody_is_allowed_and_blocked,
    servers.ports_do_not_clash,
    servers.settings_fit_the_role,
    servers.client_auth_fits_the_role,
    servers.workers_fit_the_role,
    acme.servers_have_clients,
    acme.acme_can_be_asked,
    acme.certificates_can_be_ordered,
    servers.certificates_come_with_keys,
    servers.certificates_for_partners_have_one,
    pools.next_hops_lead_somewhere,
    pools.backup_pools_are_front_ends,
    management.management_is_one_pool,
    management.management_database_is_public,
    management.console_has_a_management_server,
    management.lists_are_published_by_management,
    management.metrics_over_tls_have_readers,
    management.invitations_can_be_taken,
    management.files_can_be_sent,
    oauth.tokens_are_for_sip_alone,
    oauth.portal_is_of_a_domain,
    management.approvals_can_be_given,
    applications.applications_speak_for_domains_of_ours,
    applications.only_applications_have_names,
    applications.names_of_applications_are_told_apart,
    applications.calls_are_screened_once,
    call_defaults.call_rules_are_for_home_pools,
    directory.directory_can_be_read,
    directory.groups_lead_to_front_ends,
    enrolment.machines_are_servers,
    directory.scim_clients_write_alone,
    directory.groups_give_classes,
    names.sites_are_listed,
    pools.media_policies_are_for_domains_of_ours,
    partners.federation_goes_through_an_edge,
    partners.revocation_can_be_told,
    partners.certificates_can_be_logged,
    partners.dane_can_be_checked,
    partners.partners_have_anchors,
    trunks.trunks_have_a_gateway,
    trunks.trunks_have_no_users,
    trunks.keyed_trunks_have_rtpengine,
    trunks.challenged_trunks_are_bounded,
    trunks.hosts_of_trunks_are_free,
    trunks.emergency_calls_have_a_trunk,
    trunks.signatures_can_be_verified,
    trunks.classes_of_numbers_are_told_apart,
    trunks.countries_are_known,
    dialling.sites_of_numbers_are_told_apart,
    dialling.extensions_are_told_apart,
    dialling.services_have_emergency_numbers,
    dialling.routes_lead_to_trunks,
    stores.pools_share_what_they_store,
    stores.store_settings_fit,
    stores.front_ends_alone_have_a_store,
)
"""The checks of each document, in the order of the rules."""

CHECKS_OF_DRAFTS = (named_files.files_are_of_their_kind, databases.databases_can_be_named)
"""The checks of what is not published yet: a server goes on with a version of an earlier release."""
