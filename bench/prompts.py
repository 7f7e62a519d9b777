"""What the benchmarks ask for: the same requests, whichever way they go."""

PROMPTS = [
    f"Write a haiku about {topic}."
    for topic in ("rain", "GPU computing", "the sea", "autumn", "a river", "snow", "the moon", "a garden")
]
MAX_TOKENS = 64
WARM_UP = 2


def request(number: int) -> dict[str, object]:
    """The request of that number: temperature 0.8, its number the seed."""
    prompt = PROMPTS[number % len(PROMPTS)]
    return {"prompt": prompt, "temperature": 0.8, "seed": number, "max_tokens": MAX_TOKENS}
