-- Grain: one row per connector, ext_ref_code and ticket that counts, as its newest revision says.
-- A ticket that was voided, or that is a gift card only, does not count.

with

revisions as (

    select * from {{ ref('stg_tickets') }}

),

newer as (

    select * from {{ ref('stg_tickets') }}

),

final as (

    select revisions.*

    from revisions
    where
        revisions.kind not in ('void', 'gift_card')
        and not exists (
            select 1
            from newer
            where
                newer.connector_id = revisions.connector_id
                and newer.ext_ref_code = revisions.ext_ref_code
                and newer.ticket_id = revisions.ticket_id
                and (
                    newer.fetched_at_utc > revisions.fetched_at_utc
                    or (
                        newer.fetched_at_utc = revisions.fetched_at_utc
                        and newer.raw_sha256 > revisions.raw_sha256
                    )
                )
        )

)

select * from final
