"""A wholly unknown language is given to nobody; Spanish, mixed Spanish and misspelled English are not refused for their spelling."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter

import pytest

from assistant.encoder import SentenceEncoder
from assistant.pack import Pack
from assistant.routing import NO_AGENT, RouteContext, Router, language
from assistant.routing.language import Spelling, learn_spelling
from assistant.routing.router import UNKNOWN_LANGUAGE
from assistant.routing.utterances import Utterance

FOREIGN = {
    "Finnish": ["pakastin pitää kovaa ääntä eikä jäähdytä", "Montako laatikkoa perunoita on jäljellä?", "uusi työntekijä aloittaa maanantaina"],
    "Czech": ["mraznička dělá hluk a nechladí vůbec", "Kolik krabic brambor nám zbývá?", "novy zamestnanec zacina v pondeli rano"],
    "French": ["le congélateur fait du bruit et ne refroidit plus", "Combien de cartons de pommes de terre reste-t-il ?", "quelqu'un a glissé dans la cuisine et s'est cogné"],
    "German": ["die gefriertruhe brummt laut und kühlt nicht", "Wie viele Kartons Kartoffeln sind noch da?", "jemand ist in der Küche ausgerutscht und hingefallen"],
    "Polish": ["zamrażarka hałasuje i nie chłodzi", "Ile kartonów ziemniaków nam zostało?", "nowy pracownik zaczyna w poniedziałek"],
    "Hungarian": ["a fagyasztó zúg és nem hűt rendesen", "Hány doboz krumpli maradt még nekünk?", "valaki elcsúszott a konyhában és beütötte a fejét"],
    "Turkish": ["dondurucu ses yapıyor ama soğutmuyor", "Kaç kutu patates kaldı acaba?", "yeni çalışan pazartesi günü başlıyor"],
    "Swedish": ["frysen låter högt och kyler inte längre", "Hur många lådor potatis har vi kvar?", "någon halkade i köket och slog i huvudet"],
    "Italian": ["il congelatore fa rumore e non raffredda più", "Quante scatole di patate ci sono ancora?", "qualcuno è scivolato in cucina e ha battuto la testa"],
    "Portuguese": ["o congelador faz barulho e não gela mais", "Quantas caixas de batata ainda sobraram?", "alguém escorregou na cozinha e bateu a cabeça"],
    "Dutch": ["de vriezer maakt lawaai en koelt niet meer", "Hoeveel dozen aardappelen hebben we nog over?", "iemand gleed uit in de keuken en viel op zijn hoofd"],
    "Indonesian": ["pembeku berisik dan tidak dingin lagi", "Berapa kotak kentang yang masih tersisa?", "karyawan baru mulai hari Senin depan"],
    "Russian": ["морозилка шумит и не морозит", "Сколько коробок картошки осталось?", "новый сотрудник начинает в понедельник"],
    "Chinese": ["冷冻柜很吵而且不制冷", "还剩多少箱土豆？", "新员工星期一开始上班"],
}  # fmt: skip

SPANISH = [
    "el congelador hace mucho ruido y ya no enfría",
    "¿Cuántas cajas de papas nos quedan?",
    "alguien se resbaló en la cocina y se pegó en la cabeza",
    "el nuevo empleado empieza el lunes, qué entrenamiento necesita",
    "la máquina de hielo tira agua por abajo",
    "a que temperatura tiene que estar el pollo",
    "quien me cubre el turno del sabado",
    "una clienta dice que es alergica a la leche",
    "the grill no prende y ya le movi al gas",
    "necesito the closing checklist por favor",
]
MISSPELLED = [
    "the frezzer is makin noize and wont get cold",
    "how mnay boxs of potatos do we hav left",
    "somone sliped in the kichen and hit there hed",
    "new emploee starts mondy wat trainig does he need",
    "ice mashine leeks watter on teh flor",
    "wat temprature shud the chikin be",
]


@pytest.fixture(scope="module")
def shipped(machine_cache: Path) -> Router:
    return Router.load(Pack.load("qsr").folder, SentenceEncoder.load(cache_dir=machine_cache), machine_cache)


def refused(router: Router, texts: list[str]) -> list[str]:
    decided = [(text, router.decide(text, RouteContext())) for text in texts]
    return [text for text, decision in decided if decision.doubt == UNKNOWN_LANGUAGE]


def test_foreign_sentences_are_given_to_nobody(shipped: Router) -> None:
    taken = [
        (language, text)
        for language, texts in FOREIGN.items()
        for text in texts
        if shipped.decide(text, RouteContext()).agent != NO_AGENT
    ]
    # French, half of whose words look Spanish or English, is the hard one.
    assert len(taken) <= 3 and {language for language, _ in taken} <= {"French"}, taken


def test_without_the_spelling_many_of_them_went_to_an_agent(shipped: Router) -> None:
    bare = Router(shipped.head, shipped.encoder)
    texts = [text for texts in FOREIGN.values() for text in texts]
    assert sum(bare.decide(text, RouteContext()).agent != NO_AGENT for text in texts) > len(texts) / 3


@pytest.mark.parametrize("texts", [SPANISH, MISSPELLED], ids=["spanish", "misspelled"])
def test_what_the_store_team_writes_is_not_refused(shipped: Router, texts: list[str]) -> None:
    assert refused(shipped, texts) == []


def test_a_refusal_says_why_and_keeps_every_probability(shipped: Router) -> None:
    decision = shipped.decide(FOREIGN["Finnish"][0], RouteContext())
    assert (decision.agent, decision.stage, decision.doubt) == (NO_AGENT, "default", UNKNOWN_LANGUAGE)
    shares = [decision.confidence, *(share for _, share in decision.alternatives)]
    assert len(shares) == 5 and sum(shares) == pytest.approx(1)
    prediction = shipped.predict(FOREIGN["Finnish"][0])
    assert shipped.settle(FOREIGN["Finnish"][0], prediction)[0][0] == NO_AGENT


def test_the_answer_to_an_open_question_may_be_spelled_as_it_pleases(shipped: Router) -> None:
    names = "Szymon Wójcik, Krzysztof Grzyb, Małgorzata Źrebiec i Ewa"
    asked = RouteContext(current_agent="operations", pending=True, previous_text="who is on the late shift")
    assert shipped.decide(names, RouteContext()).doubt == UNKNOWN_LANGUAGE
    assert (shipped.decide(names, asked).agent, shipped.decide(names, asked).doubt) == ("operations", "")


def test_a_short_reply_within_a_conversation_stays(shipped: Router) -> None:
    talking = RouteContext(current_agent="equipment", previous_text="la freidora no calienta")
    assert shipped.decide("ya la reseteé, szia", talking).agent == "equipment"
    assert shipped.decide(FOREIGN["Hungarian"][1], talking).agent == NO_AGENT


@pytest.mark.parametrize("text", ["", "Grzegorz", "Nguyen Thi", "E41 TEV1", "\x00\ufffd", "🔥🔥🔥", "7 7 7 7 7 7", "xxx"])
def test_a_text_with_little_to_judge_by_is_not_called_foreign(shipped: Router, text: str) -> None:
    assert shipped.decide(text, RouteContext()).doubt == ""


def test_a_very_long_foreign_text_costs_little(shipped: Router) -> None:
    started = perf_counter()
    for text in ("ääkköset " * 12_000, "ä" * 100_000):
        shipped.decide(text, RouteContext())
    assert perf_counter() - started < 1.0


def sayings(*texts: str) -> list[Utterance]:
    return [Utterance(text=text, intent="i", agent="a", family=f"f{n}", line=n) for n, text in enumerate(texts)]


def test_spelling_is_the_same_for_any_order_and_survives_its_file(tmp_path: Path) -> None:
    texts = ["lend me a book", "where is the hall", "the hall is cold", "my book is torn", "who keeps the keys"]
    spelling, again = learn_spelling(sayings(*texts)), learn_spelling(list(reversed(sayings(*texts))))
    assert spelling.to_bytes() == again.to_bytes()
    (tmp_path / "spelling.npz").write_bytes(spelling.to_bytes())
    stored = Spelling.from_file(tmp_path / "spelling.npz")
    assert stored is not None and stored.bits("the book") == spelling.bits("the book") < spelling.bits("kirja") < 30
    assert spelling.bits("thé bóok") == spelling.bits("the book") and spelling.bits("...") == 0.0


def test_an_altered_or_absent_file_is_learned_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = learn_spelling(sayings("lend me a book", "where is the hall")).to_bytes()
    (tmp_path / "cut.npz").write_bytes(content[:-10])
    assert Spelling.from_file(tmp_path / "cut.npz") is None and Spelling.from_file(tmp_path / "absent.npz") is None
    (tmp_path / "whole.npz").write_bytes(content)
    monkeypatch.setattr(language, "LANGUAGE_VERSION", 0)
    assert Spelling.from_file(tmp_path / "whole.npz") is None
