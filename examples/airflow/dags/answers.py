"""A DAG that sends one mail: whatever its run's conf says."""

from airflow.sdk import dag, task


@dag(schedule=None)
def answers() -> None:
    """Answer a ticket."""

    @task
    def send(to: str, body: str) -> str:
        print(f"    ... the mail to {to} leaves the house: {body}", flush=True)
        return to

    send("{{ dag_run.conf['to'] }}", "{{ dag_run.conf['body'] }}")


answers()
