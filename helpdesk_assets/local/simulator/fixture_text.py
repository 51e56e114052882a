# ruff: noqa: RUF001 - letters that look alike are the point
"""Texts for generated tickets: several scripts, emoji, and characters that break parsers.

Scripts are mixed because English alone does not test a column, a MERGE or a log line.
"""

from __future__ import annotations

STATUSES = ("Open", "Open", "On Hold", "Escalated", "Waiting on Customer", "Closed", "Closed")
PRIORITIES = ("Low", "Medium", "Medium", "High", "Urgent", None)
CHANNELS = ("Email", "Phone", "Web", "Chat", "Forum", "API")
LANGUAGES = ("en", "de", "fr", "ja", "ru", "ar", "hi", "zh", "ko", "el", "he", "pt-BR")
DEPARTMENTS = ("Support", "Billing", "Logística", "Vertrieb", "カスタマーサポート")
TAGS = (
    "vip", "refund", "login", "invoice", "api", "outage", "mobile", "sso", "größe", "срочно",
    "返金", "تأخير", "🔥", "feature-request", "gdpr", "duplicate", "needs info", "tier:2",
)  # fmt: skip
AGENTS = (
    "amira.haddad", "bjorn.larsen", "chiara.rossi", "deepak.menon", "ewa.kowalska", "femi.adeyemi",
    "grace.okafor", "hiro.tanaka", "ines.duarte", "jakub.novak", "keiko.mori", "lars.oberg",
)  # fmt: skip
NAMES = (
    "Zoë Kravitz-O'Neil", "Jürgen Groß", "María José Ñíguez", "François Lefèvre", "佐藤 花子",
    "Дмитрий Соколов", "محمد العلي", "प्रिया शर्मा", "王小明", "김민준", "Ελένη Παπαδοπούλου",
    "נועה לוי", "สมชาย ใจดี", "Nguyễn Thị Minh Khai", "Łukasz Żółkiewski", "Smith, John \"JJ\"",
)  # fmt: skip
COMPANIES = (
    "Nordlicht GmbH & Co. KG", "Acme \\ Sons", "株式会社ひかり", "ООО Ромашка", "Société Générée",
    "شركة النور", "Tienda Ñandú S.A.", "Hooli", "O'Reilly & Daughters", "<b>Bold</b> Ltd.",
)  # fmt: skip
INDUSTRIES = ("Retail", "Logistics", "Health", "Education", "Energy", None)
COUNTRIES = ("DE", "FR", "JP", "US", "IN", "BR", "EG", "KR", "GR", "IL", "PL", "VN")
SUBJECTS = (
    "Cannot log in since the update", "Invoice {n} shows the wrong VAT", "Bestellung {n} fehlt",
    "Remboursement de la commande {n}", "ログインできません ({n})", "Не приходит письмо №{n}",
    "لم يصل الطلب {n}", "ऑर्डर {n} रद्द करें", "订单 {n} 无法付款",
    "App crashes 💥 on start, build {n}",
    "Re: Re: Fwd: your case {n}", "Export \"all.csv\" is empty", "API answers 502 for {n} minutes",
    "  leading and trailing blanks {n}  ", "Δεν λειτουργεί η πληρωμή {n}", "👩‍👩‍👧 family plan {n}",
)  # fmt: skip
SENTENCES = (
    "Since this morning the page stays white after I enter my password and press the button.",
    "I have tried another browser, a private window and my phone; nothing changes at all.",
    "Please tell me when I can expect the money back, the bank has asked for a reference.",
    "Guten Tag, die Größe der Lieferung weicht von der Bestellung ab; bitte um Rückruf.",
    "Wir haben die Rechnung doppelt erhalten und möchten eine davon stornieren lassen.",
    "Bonjour, le colis indiqué « livré » n'est jamais arrivé à l'adresse de l'entreprise.",
    "Le problème persiste même après la réinitialisation du mot de passe, désolé d'insister…",
    "更新後からアプリが起動しなくなりました。至急ご確認をお願いいたします。",
    "請求書の金額が契約と異なっているようです。担当の方からご連絡ください。",
    "После обновления приложение не открывается, ошибка появляется сразу после запуска.",
    "Просим прислать акт сверки за прошлый квартал и подтвердить получение оплаты.",
    "مرحبا، لم أستلم الطلب حتى الآن، الرجاء التحقق من حالة الشحن.",
    "कृपया मेरे खाते की जाँच करें, भुगतान दो बार काट लिया गया है।",
    "您好，我们的账户被重复扣款两次，请尽快核实并退款，谢谢。",
    "안녕하세요, 결제가 완료되었는데 주문 내역이 보이지 않습니다.",
    "Η πληρωμή απορρίπτεται χωρίς μήνυμα σφάλματος, παρακαλώ ελέγξτε το.",
    "שלום, אני לא מצליח להתחבר לחשבון מאז אתמול בערב.",
    "Step 1: open Settings → Billing\nStep 2: press \"Update\"\nStep 3: nothing happens 🤷‍♀️",
    "Log: {\"level\": \"error\", \"path\": \"C:\\\\Users\\\\anna\\\\data\", \"code\": 502}",
    "<p>Sent from my <a href='https://example.com/?a=1&b=2'>phone</a></p>",
    "Thanks a lot!!! 🙏🏽🎉 You have been very patient with me; it works again, at least for now.",
    "The order number is 9007199254740993, the amount 1.234,56 € and the date 03/04/2026.",
)  # fmt: skip
