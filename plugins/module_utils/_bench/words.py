# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Common English words, of which a prompt is made: most tokenizers hold each one as one token."""

from __future__ import annotations

LEAD = "the"  # every prompt begins with it, so that each later word has a space before it

_TEXT = """
about above across act action add after again age ago air all also always among amount and animal another answer any
appear apply area arm art as ask at away baby back ball bank base be bear beat because become bed been before began begin
behind believe best better between big bird bit black block blood blue board boat body bone book born both bottom box boy
branch bread break bring broad brought brown build burn busy but buy by call came camp can capital captain car care carry
case cat catch cause cell cent center central certain chair chance change character charge chart check chief child choose
church circle city claim class clean clear climb clock close cloth cloud coast coat cold color column come common company
compare complete condition consider contain continue control cook cool copy corn corner correct cost cotton could count
country course cover create crop cross crowd current cut dance danger dark day dead deal dear death decide deep degree
depend describe desert design determine develop did differ difficult direct discuss distant divide do doctor does dog
dollar door double down draw dream dress drink drive drop dry during each ear early earth ease east eat edge effect egg
eight either electric element else end energy engine enough enter equal especially even evening event ever every exact
example except exercise expect experience experiment eye face fact fair fall family famous far farm fast fat father favor
fear feed feel feet fell felt few field fig fight figure fill final find fine finger finish fire first fish fit five flat
floor flow flower fly follow food foot for force foreign forest form forward found four fraction free fresh friend from
front fruit full fun game garden gas gather gave general gentle get girl give glad glass go gold gone good got govern
grand grass gray great green grew ground group grow guess guide gun had hair half hand happen happy hard has have he head
hear heart heat heavy help her here high hill him his history hit hold hole home hope horse hot hour house how huge human
hundred hunt hurry ice idea if imagine in inch include increase indicate industry insect instant instead interest into
iron is island it job join jump just keep key kind king knew know lady lake land language large last late laugh law lay
lead learn least leave left leg length less let letter level lie life lift light like line list listen little live locate
log lone long look lost lot loud love low machine made magnet main major make man many map mark market mass master match
material matter may me mean measure meat meet men metal method middle might mile milk million mind mine minute miss mix
modern molecule moment money month moon more morning most mother motion mountain mouth move much multiply music must my
name nation natural nature near necessary neck need neighbor never new next night nine no noise noon nor north nose note
nothing notice noun now number object observe ocean of off offer office often oil old on once one only open operate or
order original other our out over own oxygen page paint pair paper part particular party pass past path pattern pay people
perhaps period person phrase pick picture piece place plain plan plane planet plant play please point poor populate port
position possible post pound power practice prepare present press pretty print probable problem process produce product
proper property protect prove provide pull push put quart question quick quiet quite race radio rain raise ran range rather
reach read ready real reason receive record red region remember repeat reply represent require rest result rich ride right
ring rise river road rock roll room root rope rose round row rub rule run safe said sail salt same sand sat save saw say
scale school science score sea search season seat second section see seed seem select self sell send sense sent sentence
separate serve set settle seven several shape share sharp she sheet shell shine ship shoe shop short should shoulder show
side sight sign silent silver similar simple since sing single sister sit six size skill skin sky sleep slow small smell
smile snow so soft soil soldier solution solve some son song soon sound south space speak special speech speed spell spend
spoke spot spread spring square stand star start state station stay steam steel step stick still stone stood stop store
story straight strange stream street strong student study subject success such sudden sugar suggest suit summer sun supply
support sure surface surprise swim syllable symbol system table tail take talk tall teach team tell temperature ten term
test than thank that them then there these they thick thin thing think third this those though thought thousand three
through time tiny tire to together told tone too took tool top total touch toward town track trade train travel tree
triangle trip trouble truck true try tube turn twenty two type under unit until up us use usual valley value vary verb very
view village visit voice vowel wait walk wall want war warm was wash watch water wave way we wear weather week weight well
went were west what wheel when where whether which while white who whole whose why wide wife wild will win wind window
wing winter wire wish with woman women wonder wood word work world would write written wrong yard year yellow yes yet you
young your a b c d e f g h i j k l m n o p q r s t u v w x y z
"""
WORDS = tuple(_TEXT.split())
