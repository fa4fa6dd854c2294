"""How much of a question-answering model's score comes from reading the question.

The same contexts are answered twice: with their own question, and with one of another context. A
model that only knows which spans look like answers scores the same in both.

    python benchmarks/question_use.py runs/squadshifts/seed_1/model dev-v1.1.json --questions 2000
"""

import argparse

import numpy as np

from hierbert_tf import HierarchicalBertQuestionAnswering, read_question_examples, squad_scores


def main() -> None:
    """Prints exact match and F1 with the own and with a foreign question."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="preset of a fine-tuned model")
    parser.add_argument("data", help="questions in SQuAD's form, each with an answer")
    parser.add_argument("--questions", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    model = HierarchicalBertQuestionAnswering.from_preset(options.model)
    examples, _ = read_question_examples(options.data, for_training=False)
    generator = np.random.default_rng(options.seed)
    chosen = [examples[i] for i in generator.permutation(len(examples))[: options.questions]]
    golds = {example.id: [gold.text for gold in example.answers] for example in chosen}
    # The next of another context; the choice is shuffled, so the next is as good as any.
    foreign = []
    for number, example in enumerate(chosen):
        others = (chosen[(number + step) % len(chosen)] for step in range(1, len(chosen)))
        foreign.append(next(one.question for one in others if one.context != example.context))
    for name, questions in (("own", [e.question for e in chosen]), ("foreign", foreign)):
        answers = model.answer(questions, [e.context for e in chosen], batch_size=64)
        texts = {e.id: answer.text() for e, answer in zip(chosen, answers, strict=True)}
        scores = squad_scores(golds, texts, version="1.1")
        print(f"{name} question: exact {scores.exact:.2f}, F1 {scores.f1:.2f}, n {scores.total}")


if __name__ == "__main__":
    main()
