"""The least rights that publishing and reading need, as commands of Kafka's tools."""

from ksi_pipeline.publishers.kafka.config import KafkaConfig


def grants(config: KafkaConfig) -> list[str]:
    """Write the commands; ADMIN.properties has what an administrator logs in with."""
    tool = (
        f"kafka-acls --bootstrap-server {config.bootstrap_servers} "
        "--command-config ADMIN.properties --add"
    )
    topics = f"--resource-pattern-type prefixed --topic '{config.prefix}.'"
    writes = "--operation Write --operation Read --operation Describe"
    makes = " --operation Create" if config.create_topics else ""
    publisher, reader = f"'{config.publisher}'", f"'{config.reader}'"
    return [
        f"{tool} --allow-principal {publisher} {writes}{makes} {topics}",
        f"{tool} --allow-principal {publisher} --operation Describe "
        f"--group '{config.prefix}.publisher'",
        "# only brokers older than 2.8 ask for the next",
        f"{tool} --allow-principal {publisher} --operation IdempotentWrite --cluster",
        f"{tool} --allow-principal {reader} --operation Read --operation Describe {topics}",
        f"{tool} --allow-principal {reader} --operation Read "
        f"--resource-pattern-type prefixed --group '{config.prefix}.'",
    ]
