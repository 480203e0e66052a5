"""The workflow of the mail room. It is replayed in a sandbox, so it lies in a module of its own."""

from datetime import timedelta

from temporalio import activity, workflow
from temporalio.common import RetryPolicy

TIMES = {
    "start_to_close_timeout": timedelta(seconds=30),
    # A hold uses up attempts: let there be as many as a human may need.
    "retry_policy": RetryPolicy(initial_interval=timedelta(seconds=1), maximum_attempts=0),
}


@activity.defn(name="mail.send")
def send(to: str, body: str) -> str:
    print(f"    ... the mail to {to} leaves the house: {body}")
    return to


@workflow.defn
class Answer:
    """Answer a ticket with one mail."""

    @workflow.run
    async def run(self, to: str, body: str) -> str:
        """Return whom the mail went to."""
        return await workflow.execute_activity(send, args=[to, body], **TIMES)
