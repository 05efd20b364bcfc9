package hints

import "strings"

// A hint is a kind of task and words that ask for it. A word beginning with a space starts where a word of
// the request starts, one ending with a space ends where it ends; Japanese has
// no spaces, and its words match anywhere.
type hint struct {
	kind  string
	odds  float64 // what a word adds to the log-odds of p_local
	says  float64 // how often a request with one of the words is of this kind
	words []string
}

var hints = []hint{
	{"extraction", 0.03, 0.71, []string{
		" extract", " pull out", " pull the", " get me every", " find all", " list the names", " which names", " what date", " pick out", " phone number", " invoice number",
		" extrahier", " hol mir", " zieh", " entnimm", " welche namen", " alle daten", " heraus ",
		" extrais", " extraire", " relève", " récupère", " extrae", " extraer", " saca ", " sácame", " estrai", " estrarre", " ricava",
		" extrai", " extraia", " haal", " haal ", "抜き出", "取り出", "抽出",
	}},
	{"formatting", 0.46, 0.43, []string{
		" format", " json", " csv", " markdown", " table ", " bullet", " uppercase", " lowercase", " sort ", " alphabetical", " iso date", " convert ", " turn this into", " yaml", " camelcase",
		" formatier", " tabelle", " sortier", " großbuchstaben", " alphabetisch", " wandle", " umwandeln",
		" mets en ", " mets ça", " tableau", " trie ", " majuscul", " convertis", " formato ", " formatea", " tabla", " ordena", " mayúscul", " convierte", " tabella", " ordina ", " maiuscol", " converti ", " trasforma",
		" tabela", " maiúscul", " converte", " converta", " zet ", " tabel", " hoofdletters", "形式", "表に", "箇条書き", "並べ替え", "変換",
	}},
	{"classification", 0.32, 0.62, []string{
		" classify", " classif", " label ", " sentiment", " positive or negative", " spam", " urgent", " which category", " categor", " fact or opinion", " true or false", " is this a ",
		" einordnen", " ordne ", " kategorie", " klassifizier", " dringend", " positiv oder", " catégorie", " classe ", " urgent ou", " clasifica", " categoría", " urgente", " queja", " classifica", " categoria", " reclamo", " reclamação", " indeel", " categorie", "分類", "どれ？", "どちら", "種別",
	}},
	{"rewriting", 0.18, 0.66, []string{
		" rewrite", " rephrase", " reword", " shorten", " shorter", " fix the grammar", " grammar", " spelling", " typo", " proofread", " more formal", " more polite", " politer", " friendlier", " tone ", " fix this sentence", " fewer words", " same meaning", " plain english",
		" umformulier", " formulier", " korrigier", " rechtschreib", " grammatik", " kürz", " höflicher", " freundlicher", " förmlich",
		" reformul", " corrige", " orthographe", " raccourci", " plus poli", " plus court", " reescribe", " ortografía", " acorta", " más formal", " más corto", " riscriv", " correggi", " ortografia", " accorcia", " più formale", " reescreve", " reescreva", " corrija", " mais formal", " herschrijf", " verbeter", " korter", " netter", "書き直", "言い換え", "誤字", "丁寧に", "短くし", "直して", "敬語",
	}},
	{"translation", -0.42, 0.86, []string{
		" translat", " in french", " into french", " in german", " into german", " in spanish", " into spanish", " in italian", " into italian", " into english", " in english", " in japanese", " into japanese", " how do you say",
		" übersetz", " auf englisch", " auf französisch", " ins englische", " ins deutsche", " tradui", " traduc", " traduz", " en anglais", " en inglés", " in inglese", " em inglês", " vertaal", " in het engels", "訳し", "翻訳", "英語で", "英語に",
	}},
	{"summary", 0.25, 0.6, []string{
		" summar", " tl dr", " tldr", " in one sentence", " gist", " key points", " boil", " condense", " zusammenfass", " fasse ", " fass ", " in einem satz", " kernpunkt", " résum", " en une phrase", " l'essentiel", " resum", " en una frase", " riassum", " in una frase", " em uma frase", " numa frase", " samenvat", " vat ", "要約", "まとめて", "一言で",
	}},
	{"tool", 0.13, 0.23, []string{
		" remind me", " set a timer", " timer ", " turn on", " turn off", " book ", " cancel my", " play ", " call ", " send ", " add ", " open ", " undo ", " erinner", " schalte", " mach das licht", " buche", " stell ", " rappelle", " allume", " éteins", " réserve", " recuérdame", " enciende", " apaga", " reserva", " ricordami", " accendi", " spegni", " prenota", " lembra", " liga ", " desliga", " zet de", "予約", "送って", "つけて", "消して", "タイマー",
	}},
	{"chat", 1.36, 0.12, []string{
		" hello ", " hi ", " hey ", " thanks", " thank you", " good morning", " good night", " how are you", " lol ", " bye ", " hallo ", " danke", " guten morgen", " moin ", " tschüss", " bonjour", " merci", " salut", " bonsoir", " hola ", " gracias", " buenos días", " buenas", " ciao ", " grazie", " buongiorno", " olá ", " oi ", " obrigad", " bom dia", " bedankt", " goedemorgen", "ありがとう", "こんにちは", "おはよう", "お疲れ",
	}},
	{"answering", 0.01, 0.39, []string{
		" according to", " from the text", " in the text", " based on this", " the notice says", " laut ", " dem text", " im text", " selon ", " d'après", " según ", " secondo ", " segundo o", " volgens", "によると", "本文", "規則", "文章から",
	}},
	{"knowledge", 0.08, 0.21, []string{
		" what is ", " what's ", " what are ", " who is ", " who was ", " who wrote ", " capital of", " how many ", " when did", " define ", " meaning of", " difference between", " was ist ", " wer war", " wie viele", " hauptstadt", " bedeutet", " qu'est", " c'est quoi", " qui est", " combien", " capitale", " qué es", " quién", " cuánt", " capital de", " significa", " cos'è", " chi è", " quant", " o que é", " quem ", " quantos", " wat is", " wie is", " hoeveel", "とは", "何ですか", "意味", "首都", "教えて",
	}},
	{"knowledge", -0.29, 0.17, []string{ // what happens now is in no local model
		" latest", " today", " tonight", " yesterday", " current", " right now", " this week", " this month", " newest", " news", " stock price", " price of", " weather", " score of", " last week", " next week's", " as of ", " 2025 ", " 2026 ",
		" aktuell", " heute", " gestern", " neueste", " derzeit", " wetter", " aujourd'hui", " actuel", " hier ", " dernière", " météo", " hoy ", " ayer ", " actual", " última", " tiempo hace", " oggi", " ieri", " attual", " ultima", " meteo", " hoje", " ontem", " atual", " última", " vandaag", " gisteren", " huidige", "今日", "最新", "現在の", "昨日", "天気", "今週", "今月",
	}},
	{"maths", -0.13, 0.23, []string{
		" plus ", " minus ", " times ", " percent", "% of", " per head", " how much is", " add up", " divided by", " prozent", " mal ", " wie viel ist", " pour cent", " por ciento", " per cento", " por cento", " procent", "いくら", "何円", "割引",
	}},
	{"maths", -1.01, 0.5, []string{
		" prove", " proof", " theorem", " lemma", " integral", " derive ", " eigen", " polynomial", " converge", " compact ", " topolog", " isomorph", " conjecture", " bayes", " likelihood", " prime ",
		" beweis", " zeige, dass", " satz von", " démontr", " prouve", " théorème", " intégrale", " demuestra", " teorema", " dimostra", " demonstre", " demonstra", " prova que", " bewijs", " stelling", "証明", "定理", "積分", "収束",
	}},
	{"code", 0.33, 0.74, []string{
		" regex", " sql", " select ", " python", " javascript", " bash", " shell", " one-liner", " function ", " css ", " html", " git ", " def ", " print ", " null ", " funktion", " fonction", " función", " funzione", " função", " functie", "正規表現", "関数", "コマンド",
	}},
	{"code", -0.93, 0.44, []string{
		" refactor", " deadlock", " race condition", " concurren", " lock-free", " distributed", " architect", " scal", " compiler", " kernel", " memory leak", " migrat", " microservice", " optimis", " optimiz", " throughput", " raft ", " cuda", " implement", " debug", " in production", " production-ready", " nebenläufig", " architektur", " implementier", " skalier", " concurrence", " implément", " implementa", " arquitectura", " arquitetura", " architettura", " implementeer", "実装", "設計", "デッドロック", "最適化",
	}},
	{"reasoning", -0.71, 0.34, []string{
		" why ", " work out", " figure out", " plan ", " strategy", " strateg", " analys", " analyz", " evaluate", " compare", " trade-off", " tradeoff", " root cause", " diagnos", " investigat", " what would you", " should i", " should we", " pros and cons", " critique", " argue", " negotiat", " contract", " legal", " lawyer", " tax ", " risk", " scenario", " schedule", " step by step", " research", " explain how",
		" warum", " wieso", " entwirf", " vergleich", " konzept", " ursache", " bewerte", " abwäg", " soll ich", " sollen wir", " rechtlich", " gutachten", " beurteil",
		" pourquoi", " conçois", " conçoi", " compar", " évalue", " cause ", " dois-je", " juridique", " plan de", " por qué", " diseña", " debería", " evalúa", " causa", " qué harías", " perché", " progetta", " valuta", " dovrei", " confronta", " por que", " avalia", " devo ", " planeja", " waarom", " ontwerp", " vergelijk", " moet ik", "なぜ", "比較", "分析", "計画", "戦略", "検討", "べきで", "考察", "理由を",
	}},
	{"writing", 0.42, 0.44, []string{
		" email", " e-mail", " subject line", " short note", " text to", " invite", " invitation", " reply to", " thank-you", " caption", " slogan", " betreff", " schreib", " mail an", " einladung", " rédige", " écris", " courriel", " escribe", " redacta", " correo", " invitación", " scrivi", " mail a ", " invito", " escreve", " escreva", " schrijf", "書いて", "メール", "件名",
	}},
	{"writing", -0.9, 0.37, []string{
		" essay", " novel", " chapter", " short story", " screenplay", " sonnet", " villanelle", " sestina", " poem", " pages", " words on", " report on", " thesis", " white paper", " grant ", " speech", " in the style of", " aufsatz", " roman ", " kapitel", " gedicht", " sonett", " seiten", " kurzgeschichte", " rede ", " nouvelle ", " chapitre", " poème", " discours", " pages", " ensayo", " novela", " capítulo", " poema", " páginas", " cuento", " discurso", " saggio", " romanzo", " capitolo", " poesia", " pagine", " racconto", " discorso", " ensaio", " romance", " conto ", " gedicht", " pagina's", " verhaal", "小説", "短篇", "短編", "詩を", "エッセイ", "論文", "字ほど", "脚本",
	}},
}

// A form is a mark of a request that is no word.
type form struct {
	name  string
	kind  string  // "" when it says nothing about the kind
	odds  float64 // what it adds to the log-odds of p_local
	says  float64 // how often a request that has it is of this kind
	holds func(view) bool
}

// base is the log-odds of a request that no rule speaks of.
const base = -0.25

var forms = []form{
	{"very-short", "chat", 0.4, 0.15, func(v view) bool { return v.n < 25 }},
	{"short", "knowledge", 1.14, 0.25, func(v view) bool { return v.n < 60 }},
	{"long", "answering", -0.09, 0.09, func(v view) bool { return v.n > 300 }},
	{"very-long", "answering", -0.12, 0.08, func(v view) bool { return v.n > 700 }},
	{"tools", "tool", 1, 0.99, func(v view) bool { return v.tools > 0 }},
	{"many-tools", "tool", -2.18, 0.98, func(v view) bool { return v.tools > 3 }},
	{"earlier-turns", "", -0.08, 0, func(v view) bool { return v.earlier }},
	{"symbols", "maths", -0.85, 0.71, func(v view) bool {
		return strings.ContainsAny(v.text, "∫∑√≤≥∈∀∃^") || strings.Contains(v.text, "O(")
	}},
	{"code", "code", -0.46, 0.63, func(v view) bool {
		return strings.Contains(v.text, "```") || strings.Contains(v.text, ");") || strings.Contains(v.text, "{\n") || strings.Contains(v.text, "=>") || strings.Contains(v.text, "()")
	}},
	{"quotation", "rewriting", 0.53, 0.17, func(v view) bool {
		return strings.ContainsAny(v.text, "\"“„«「") || strings.Contains(v.text, ": '")
	}},
	{"colon-ends-ask", "formatting", 0.78, 0.1, func(v view) bool { i := strings.IndexAny(v.text, ":："); return i > 0 && i < 120 }},
	{"many-conditions", "reasoning", -0.48, 0.3, func(v view) bool { return strings.Count(v.text, ",")+strings.Count(v.text, "、") > 5 }},
	{"question-at-the-end", "answering", -0.3, 0.17, func(v view) bool {
		return strings.HasSuffix(strings.TrimRight(v.text, " \n\"»」"), "?") || strings.HasSuffix(v.text, "？")
	}},
	{"sum", "maths", 0.06, 0.64, func(v view) bool { return v.n < 80 && digits(v.text) > 1 && strings.ContainsAny(v.text, "+*/×=%") }},
	{"number-heavy", "extraction", 0.35, 0.1, func(v view) bool { return 12*digits(v.text) > v.n }},
	{"lines", "answering", 0.6, 0.16, func(v view) bool { return strings.Count(v.text, "\n") > 3 }},
	{"amount-of-text", "writing", -0.27, 0.44, amountOfText},
}

// amountOfText is "800 words" or "12 pages".
func amountOfText(v view) bool {
	words := strings.Fields(v.ask)
	for i, w := range words[:max(0, len(words)-1)] {
		if digits(w) != len(w) || len(w) < 2 {
			continue
		}
		for _, unit := range []string{"word", "page", "wörter", "seiten", "mots", "pages", "palabras", "páginas", "parole", "pagine", "palavras", "woorden", "pagina", "lines", "zeilen"} {
			if strings.HasPrefix(words[i+1], unit) {
				return true
			}
		}
	}
	return strings.Contains(v.text, "字ほど") || strings.Contains(v.text, "字程度") || strings.Contains(v.text, "字以上")
}
