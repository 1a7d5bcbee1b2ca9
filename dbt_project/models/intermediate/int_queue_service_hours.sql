-- Grain: one row per site, queue zone, unit and local hour in which it is seen with its service.
-- Seen by one camera, that is: tracklets end with the view of their camera.
-- Elsewhere nobody can be followed from the queue to the till, so how waits ended is not known.

with

zone_cameras as (

    select * from {{ ref('int_zone_cameras') }}

),

zone_hours as (

    select * from {{ ref('int_zone_hours') }}

),

leads_to as (

    select * from {{ ref('stg_space_zone_leads_to') }}

),

final as (

    select distinct
        queues.site_id,
        queues.zone_id,
        queues.unit_id,
        queues.hour_start_utc

    from zone_cameras as queues
    inner join leads_to
        on
            queues.site_id = leads_to.site_id
            and queues.zone_id = leads_to.zone_id
            and queues.unit_id = leads_to.unit_id
            and {{ valid_at('leads_to', 'queues.hour_start_utc') }}
    inner join zone_hours as services
        on
            queues.site_id = services.site_id
            and queues.hour_start_utc = services.hour_start_utc
            and leads_to.service_zone_id = services.zone_id
            and services.role = 'service'
    inner join zone_cameras as tills
        on
            services.site_id = tills.site_id
            and services.zone_id = tills.zone_id
            and services.hour_start_utc = tills.hour_start_utc
            and queues.camera_id = tills.camera_id

)

select * from final
